package dev.javelin.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.device.TestMachine;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Attention;
import dev.javelin.tensor.op.AttentionDropout;
import dev.javelin.tensor.op.AttentionMask;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The CUDA kernels of attention against the CPU's, which {@link AttentionTest} holds against the
 * definition: every instance, mask and layout, with memory between operands NaN, where it must not
 * be read, and 7 in results, where it must not be written.
 */
@RequiresCuda
@SuppressWarnings("EnumOrdinal") // numbers seeds and sizes
class AttentionCudaTest {
  private static final double GAP = 7;
  private static final long SLAB_BYTES = 24 << 20;

  /** The one with the least shared memory. */
  private static final TestMachine SMALL = machine(89);

  private static final TestMachine HOPPER = machine(90);

  private static TestMachine machine(int capability) {
    return TestMachine.all().stream()
        .filter(m -> m.capability() == capability)
        .findFirst()
        .orElseGet(() -> TestMachine.all().getFirst());
  }

  /** What the queries see, and what becomes of their scores. */
  enum Masking {
    FULL,
    CAUSAL,
    WINDOW,
    LENGTHS,
    KEYS,
    DOCUMENTS,
    SLOPES,
    CAP,
    NEGATIVE_SCALE,
    EVERYTHING,
    DROPOUT,
    EVERYTHING_AND_DROPOUT;

    boolean all() {
      return this == EVERYTHING || this == EVERYTHING_AND_DROPOUT;
    }

    boolean drops() {
      return this == DROPOUT || this == EVERYTHING_AND_DROPOUT;
    }
  }

  /** Where the rows of a tensor lie. */
  private enum Place {
    DENSE,
    HEADS_FIRST,
    PART_OF_A_CACHE,
    PART_OF_THE_HEADS,
    ODD_ROWS
  }

  record Case(
      DType type,
      int batch,
      int queries,
      int keys,
      int heads,
      int kvHeads,
      int dim,
      Masking masking,
      boolean accumulate,
      int wanted,
      int seed,
      int window) {

    /** A window of any length where the masking has one. */
    Case(
        DType type,
        int batch,
        int queries,
        int keys,
        int heads,
        int kvHeads,
        int dim,
        Masking masking,
        boolean accumulate,
        int wanted,
        int seed) {
      this(type, batch, queries, keys, heads, kvHeads, dim, masking, accumulate, wanted, seed, 0);
    }

    static Case random(DType type, int dim, Masking masking, int seed) {
      Random random = new Random(seed);
      int kvHeads = random.nextInt(1, 3);
      int queries = random.nextInt(5) == 0 ? 1 : random.nextInt(1, dim > 128 ? 80 : 150);
      return new Case(
          type,
          random.nextInt(1, 3),
          queries,
          queries + (random.nextBoolean() ? 0 : random.nextInt(40)),
          kvHeads * random.nextInt(1, 3),
          kvHeads,
          dim,
          masking,
          random.nextInt(3) == 0,
          random.nextInt(3) == 0 ? random.nextInt(1, 8) : 7,
          seed);
    }
  }

  @ParameterizedTest
  @EnumSource
  void agreeWithTheCpuWhateverTheMask(Masking masking) {
    int seed = 100 * masking.ordinal();
    for (DType t : List.of(DType.F32, DType.BF16, DType.F16)) {
      compare(Case.random(t, 8 * new Random(seed).nextInt(1, 9), masking, seed++));
      compare(Case.random(t, 24 + masking.ordinal(), masking, seed++));
    }
  }

  @ParameterizedTest
  @MethodSource("dims")
  void agreeWithTheCpuForEveryHeadDimension(int dim) {
    int seed = 10_000 + 10 * dim;
    for (DType t : List.of(DType.F32, DType.BF16, DType.F16)) {
      compare(Case.random(t, dim, seed % 2 == 0 ? Masking.CAUSAL : Masking.EVERYTHING, seed++));
      compare(Case.random(t, dim, Masking.DROPOUT, seed + 5));
    }
  }

  static IntStream dims() {
    return IntStream.of(1, 7, 32, 33, 64, 80, 96, 100, 128, 136, 192, 200, 255, 256);
  }

  /** At some length a tile holds a single query that sees a tile's last key, or the reverse. */
  @Test
  void agreeWithTheCpuWhereAWindowEndsAtATilesEdge() {
    windows(IntStream.of(1, 2, 15, 16, 17, 31, 32, 33, 34, 47, 48, 49, 63, 64, 65, 66));
  }

  @Test
  @Tag("long")
  void agreeWithTheCpuWhereverAWindowEndsInATile() {
    windows(IntStream.rangeClosed(1, 66));
  }

  private static void windows(IntStream lengths) {
    lengths.forEach(
        window -> {
          for (DType t : List.of(DType.F32, DType.BF16)) {
            compare(new Case(t, 1, 130, 131, 1, 1, 16, Masking.WINDOW, false, 7, window, window));
          }
        });
  }

  /** Their keys are cut into parts for several blocks, whose results are added up. */
  @ParameterizedTest
  @EnumSource(names = {"CAUSAL", "LENGTHS", "WINDOW", "EVERYTHING", "DROPOUT"})
  void agreeWithTheCpuForFewQueriesOfManyKeys(Masking masking) {
    int seed = 20_000 + masking.ordinal();
    for (DType t : List.of(DType.F32, DType.BF16, DType.F16)) {
      compare(new Case(t, 2, 1, 1100, 2, 1, 24, masking, false, 0, seed));
      compare(new Case(t, 1, 3, 523, 2, 2, 40, masking, false, 0, seed + 1));
    }
  }

  /** The heads that share keys become queries of one head where the mask allows it. */
  @ParameterizedTest
  @EnumSource
  void agreeWithTheCpuForOnePositionOfGroupedHeads(Masking masking) {
    int seed = 30_000 + 10 * masking.ordinal();
    compare(new Case(DType.F32, 2, 1, 37, 4, 2, 24, masking, true, 7, seed));
    compare(new Case(DType.BF16, 2, 1, 5, 14, 2, 40, masking, false, 7, seed + 1));
    compare(new Case(DType.F16, 1, 1, 1, 4, 1, 33, masking, false, 0, seed + 2));
    compare(new Case(DType.BF16, 2, 1, 523, 4, 1, 64, masking, false, 0, seed + 3));
    compare(new Case(DType.BF16, 1, 5, 33, 8, 2, 32, masking, false, 0, seed + 4));
  }

  /** Kernels for 9.0 take some of these; the backward pass makes its p of their lse. */
  @ParameterizedTest
  @EnumSource(names = {"FULL", "CAUSAL", "WINDOW", "DOCUMENTS", "LENGTHS", "CAP"})
  void agreeWithTheCpuOnHopper(Masking masking) {
    int seed = 40_000 + 10 * masking.ordinal();
    compare(HOPPER, new Case(DType.BF16, 2, 65, 70, 2, 1, 64, masking, false, 7, seed));
    compare(HOPPER, new Case(DType.F16, 1, 130, 260, 1, 1, 128, masking, false, 7, seed + 1));
  }

  private static void compare(Case c) {
    compare(SMALL, c);
  }

  private static void compare(TestMachine machine, Case c) {
    List<double[]> want;
    List<double[]> got;
    try (Cpu cpu = Cpu.open(1)) {
      want = run(cpu, c);
    }
    try (Cuda cuda = machine.open(new BundledKernels())) {
      got = run(cuda, c);
    } finally {
      TestMachine.restore();
    }
    List<String> names = List.of("o", "lse", "dq", "dk", "dv");
    for (int i = 0; i < names.size(); i++) {
      // Each device is within the tolerance of the truth.
      double tolerance =
          switch (i) {
            case 0 -> 2 * Tolerances.output(c.type);
            case 1 -> 2 * Tolerances.output(DType.F32);
            default -> 2 * Tolerances.gradient(c.type);
          };
      assertClose(c + ": " + names.get(i), got.get(i), want.get(i), tolerance);
    }
  }

  private static void assertClose(String what, double[] got, double[] want, double tolerance) {
    double scale = 1e-3;
    for (double w : want) {
      scale = Double.isInfinite(w) ? scale : Math.max(scale, Math.abs(w));
    }
    for (int i = 0; i < want.length; i++) {
      boolean close = got[i] == want[i] || Math.abs(got[i] - want[i]) <= tolerance * scale;
      if (!close) {
        throw new AssertionError(
            "%s[%d] is %s, the CPU says %s".formatted(what, i, got[i], want[i]));
      }
    }
  }

  static Stream<Case> someOfEach() {
    return Stream.of(DType.F32, DType.BF16, DType.F16)
        .flatMap(
            t ->
                Stream.of(
                    new Case(t, 1, 40, 67, 2, 1, 40, Masking.EVERYTHING, true, 7, 1),
                    new Case(t, 1, 33, 33, 1, 1, 136, Masking.DOCUMENTS, false, 7, 2),
                    new Case(t, 2, 37, 37, 2, 1, 72, Masking.DROPOUT, false, 7, 4),
                    new Case(t, 1, 2, 600, 1, 1, 16, Masking.CAUSAL, false, 0, 3)));
  }

  @ParameterizedTest
  @MethodSource("someOfEach")
  void giveTheSameBitsOnEveryMachineAndStayWithinTheirMemory(Case c) {
    List<double[]> first = new ArrayList<>();
    TestMachine.andChecked()
        .forEach(
            machine -> {
              List<double[]> results;
              BundledKernels images =
                  machine.checked() ? BundledKernels.checked() : new BundledKernels();
              try (Cuda cuda = machine.open(images)) {
                results = run(cuda, c);
              } finally {
                TestMachine.restore();
              }
              if (first.isEmpty()) {
                first.addAll(results);
              }
              assertThat(results)
                  .as("%s on %s", c, machine)
                  .usingRecursiveComparison()
                  .isEqualTo(first);
            });
  }

  @Test
  void refuseAHeadDimensionBeyondTheirLimit() {
    try (Cuda cuda = TestCuda.open(new BundledKernels());
        Workspace ws = Workspace.on(cuda, 1 << 20)) {
      Tensor q = ws.alloc(DType.BF16, Shape.of(1, 2, 1, 264));
      Tensor lse = ws.alloc(DType.F32, Shape.of(1, 1, 2));
      assertThatThrownBy(() -> Attention.forward(q, lse, q, q, q, AttentionMask.CAUSAL, 1))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining(
              "head dimensions up to 256, got 264; use --device cpu, for q [1, 2, 1, 264]");
    }
  }

  /** o, lse, dq, dk, dv; a gradient that nobody wants is empty. */
  private static List<double[]> run(Device device, Case c) {
    Random random = new Random(c.seed);
    Shape ofQueries = Shape.of(c.batch, c.queries, c.heads, c.dim);
    Shape ofKeys = Shape.of(c.batch, c.keys, c.kvHeads, c.dim);
    try (Workspace ws = Workspace.on(device, SLAB_BYTES);
        StepState state = StepState.on(device)) {
      state.begin(0x123456789ABCDEFL + c.seed, 17, 0, 1);
      state.firstSequence(5);
      AttentionDropout dropout = c.masking.drops() ? new AttentionDropout(0.3f, 9, state) : null;
      Tensor q = input(ws, random, c.type, ofQueries);
      Tensor k = input(ws, random, c.type, ofKeys);
      Tensor v = input(ws, random, c.type, ofKeys);
      Tensor dy = input(ws, random, c.type, ofQueries);
      AttentionMask mask = mask(ws, random, c);
      float scale = Attention.scale(q) * (c.masking == Masking.NEGATIVE_SCALE ? -1 : 1);
      Output o = new Output(ws, random, c.type, ofQueries, false);
      Tensor lse = ws.alloc(DType.F32, Shape.of(c.batch, c.heads, c.queries));
      Attention.forward(o.view, lse, q, k, v, mask, scale, dropout);
      Output dq = new Output(ws, random, c.type, ofQueries, c.accumulate);
      Output dk = new Output(ws, random, c.type, ofKeys, c.accumulate);
      Output dv = new Output(ws, random, c.type, ofKeys, c.accumulate);
      Attention.backward(
          dq.grad(c.wanted, 1),
          dk.grad(c.wanted, 2),
          dv.grad(c.wanted, 4),
          dy,
          o.view,
          lse,
          q,
          k,
          v,
          mask,
          scale,
          dropout);
      return List.of(
          o.read(),
          Tensors.toDoubles(lse),
          dq.readIf(c.wanted, 1),
          dk.readIf(c.wanted, 2),
          dv.readIf(c.wanted, 4));
    }
  }

  private static Tensor input(Workspace ws, Random random, DType type, Shape shape) {
    Tensor whole =
        place(ws, type, shape, Place.values()[random.nextInt(Place.values().length)], Double.NaN)[
            1];
    double[] values = new double[(int) shape.elements()];
    Arrays.setAll(values, i -> Tensors.round(random.nextGaussian(), type));
    Tensors.fill(whole, values);
    return whole;
  }

  /** A tensor filled with one value, and a view of that shape into it. */
  private static Tensor[] place(Workspace ws, DType type, Shape s, Place place, double value) {
    int b = s.dim(0);
    int t = s.dim(1);
    int h = s.dim(2);
    int d = s.dim(3);
    Tensor whole =
        ws.alloc(
            type,
            switch (place) {
              case DENSE -> s;
              case HEADS_FIRST -> Shape.of(b, h, t, d);
              case PART_OF_A_CACHE -> Shape.of(b, t + 5, h, d);
              case PART_OF_THE_HEADS -> Shape.of(b, t, h + 3, d);
              case ODD_ROWS -> Shape.of(b, t, h, d + 3);
            });
    double[] values = new double[(int) whole.elements()];
    Arrays.fill(values, value);
    Tensors.fill(whole, values);
    Tensor view =
        switch (place) {
          case DENSE -> whole;
          case HEADS_FIRST -> whole.transpose(1, 2);
          case PART_OF_A_CACHE -> whole.slice(1, 2, 2 + t);
          case PART_OF_THE_HEADS -> whole.slice(2, 1, 1 + h);
          case ODD_ROWS -> whole.slice(3, 1, 1 + d);
        };
    return new Tensor[] {whole, view};
  }

  private static AttentionMask mask(Workspace ws, Random random, Case c) {
    boolean all = c.masking.all();
    AttentionMask m = c.masking == Masking.FULL ? AttentionMask.FULL : AttentionMask.CAUSAL;
    if (all || c.masking == Masking.WINDOW) {
      int any = 1 + random.nextInt(c.keys + 5);
      m = m.window(c.window > 0 ? c.window : any);
    }
    if (all || c.masking == Masking.LENGTHS) {
      m = m.lengths(ints(ws, random.ints(c.batch, 0, c.keys + 3).toArray(), c.batch));
    }
    if (all || c.masking == Masking.KEYS) {
      int[] shown = random.ints((long) c.batch * c.keys, 0, 3).toArray();
      m = m.keys(ints(ws, shown, c.batch, c.keys));
    }
    if (all || c.masking == Masking.DOCUMENTS) {
      m = m.documents(ints(ws, starts(random, c), c.batch, c.queries));
    }
    if (all || c.masking == Masking.SLOPES) {
      Tensor slopes = ws.alloc(DType.F32, Shape.of(c.heads));
      Tensors.fill(slopes, random.doubles(c.heads, 0, 0.5).toArray());
      m = m.slopes(slopes);
    }
    return all || c.masking == Masking.CAP ? m.softCap(1.5f) : m;
  }

  /** Documents of random lengths; now and then one begins behind its query, which sees nothing. */
  private static int[] starts(Random random, Case c) {
    int[] starts = new int[c.batch * c.queries];
    for (int i = 0; i < starts.length; i++) {
      int position = c.keys - c.queries + i % c.queries;
      boolean goesOn = i % c.queries != 0 && random.nextInt(12) != 0;
      starts[i] = goesOn ? starts[i - 1] : random.nextInt(20) == 0 ? position + 1 : position;
    }
    return starts;
  }

  private static Tensor ints(Workspace ws, int[] values, int... dims) {
    Tensor t = ws.alloc(DType.I32, Shape.of(dims));
    Tensors.fill(t, Arrays.stream(values).asDoubleStream().toArray());
    return t;
  }

  /** A result somewhere in memory, whose surroundings must stay as they are. */
  private static final class Output {
    private final Tensor whole;
    private final Tensor view;
    private final boolean accumulate;

    Output(Workspace ws, Random random, DType type, Shape shape, boolean accumulate) {
      Place place = Place.values()[random.nextInt(Place.values().length)];
      Tensor[] placed = place(ws, type, shape, place, GAP);
      this.whole = placed[0];
      this.view = placed[1];
      this.accumulate = accumulate;
      double[] before = new double[(int) shape.elements()];
      Arrays.setAll(
          before, i -> accumulate ? Tensors.round(random.nextGaussian(), type) : Double.NaN);
      Tensors.fill(view, before);
    }

    @Nullable Grad grad(int wanted, int bit) {
      return (wanted & bit) == 0 ? null : new Grad(view, accumulate);
    }

    double[] readIf(int wanted, int bit) {
      return (wanted & bit) == 0 ? new double[0] : read();
    }

    double[] read() {
      double[] values = Tensors.toDoubles(view);
      double[] gap = new double[values.length];
      Arrays.fill(gap, GAP);
      Tensors.fill(view, gap);
      assertThat(Tensors.toDoubles(whole)).containsOnly(GAP);
      return values;
    }
  }
}
