package dev.javelin.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.Activation;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Layout;
import dev.javelin.tensor.Lease;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Activate;
import dev.javelin.tensor.op.AdamW;
import dev.javelin.tensor.op.Attention;
import dev.javelin.tensor.op.AttentionMask;
import dev.javelin.tensor.op.CrossEntropy;
import dev.javelin.tensor.op.Elementwise;
import dev.javelin.tensor.op.Embedding;
import dev.javelin.tensor.op.Fill;
import dev.javelin.tensor.op.GlobalNorm;
import dev.javelin.tensor.op.Glu;
import dev.javelin.tensor.op.LayerNorm;
import dev.javelin.tensor.op.Linear;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.op.Max;
import dev.javelin.tensor.op.RmsNorm;
import dev.javelin.tensor.op.Rope;
import dev.javelin.tensor.op.Rotation;
import dev.javelin.tensor.op.Softmax;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.DoubleStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Tensors that span more than 2³¹ elements give the bits of small ones: five rows, 2²⁹ + 8 elements
 * from one to the next, and the same rows side by side. So whatever offsets kernels compute are 64
 * bits wide, in the logits of a large vocabulary as in anything else. On the emulated device the
 * gigabytes between the rows are pages that nobody touches.
 */
@RequiresCuda
class FarRowsTest {
  private static final int ROWS = 5;
  private static final long PITCH = (1L << 29) + 8;
  private static final int DIM = 8; // of a head
  private static final int SHORT = 40;
  private static final int LONG = 2056; // columns that take a block of threads, not a warp
  private static final long GIB = 1L << 30;

  @AfterEach
  void restore() {
    if (TestCuda.isEmulated()) {
      TestCuda.set("memory", Long.toString(4 * GIB));
    }
  }

  private static Cuda open(long bytes) {
    if (TestCuda.isEmulated()) {
      TestCuda.set("memory", Long.toString(64 * GIB));
    }
    Cuda cuda = TestCuda.open(new BundledKernels());
    long free = cuda.memoryInfo().free();
    if (free < bytes) {
      cuda.close();
    }
    assumeTrue(free >= bytes, () -> "needs " + bytes / GIB + " GiB of device memory");
    return cuda;
  }

  /** An operator on rows that it is given. */
  private static final Map<String, Consumer<Rows>> ROW_OPERATORS = new LinkedHashMap<>();

  static {
    ROW_OPERATORS.put(
        "rms_norm",
        r -> {
          Tensor x = r.input();
          Tensor w = r.dense(r.cols);
          Tensor rstd = r.keep(r.floats(ROWS));
          RmsNorm.forward(r.result(), rstd, x, w, 1e-5f);
          Tensor dw = r.keep(r.floats(r.cols));
          RmsNorm.backward(r.grad(), new Grad(dw, true), r.input(), x, w, rstd);
        });
    ROW_OPERATORS.put(
        "layer_norm",
        r -> {
          Tensor x = r.input();
          Tensor w = r.dense(r.cols);
          Tensor mean = r.floats(ROWS);
          Tensor rstd = r.keep(r.floats(ROWS));
          LayerNorm.forward(r.result(), mean, rstd, x, w, r.dense(r.cols), 1e-5f);
          Tensor dw = r.keep(r.floats(r.cols));
          Tensor db = r.keep(r.floats(r.cols));
          Grad gw = new Grad(dw, true);
          LayerNorm.backward(r.grad(), gw, new Grad(db, true), r.input(), x, w, mean, rstd);
        });
    ROW_OPERATORS.put(
        "softmax",
        r -> {
          Tensor y = r.result();
          Softmax.forward(y, r.input());
          Softmax.backward(r.grad(), r.input(), y);
        });
    ROW_OPERATORS.put(
        "cross_entropy",
        r -> {
          Tensor x = r.input();
          Tensor targets = r.ids(3, LossOptions.IGNORED, 0, 17, r.cols - 1);
          Tensor losses = r.keep(r.floats(ROWS));
          Tensor stats = r.ws.alloc(DType.F32, Shape.of(ROWS, 2));
          CrossEntropy.forward(losses, stats, x, targets, LossOptions.PLAIN);
          CrossEntropy.backward(r.grad(), losses, x, targets, stats, LossOptions.PLAIN);
        });
    ROW_OPERATORS.put(
        "glu",
        r -> {
          Tensor gate = r.input();
          Tensor up = r.input();
          Glu.forward(r.result(), gate, up, Activation.SILU);
          Glu.backward(r.grad(), r.grad(), r.input(), gate, up, Activation.SILU);
        });
    ROW_OPERATORS.put(
        "activate",
        r -> {
          Tensor x = r.input();
          Activate.forward(r.result(), x, Activation.GELU);
          Activate.backward(r.grad(), r.input(), x, Activation.GELU);
        });
    ROW_OPERATORS.put(
        "max",
        r -> {
          Tensor y = r.ws.alloc(r.type, Shape.of(ROWS));
          Tensor index = r.keep(r.ws.alloc(DType.I32, Shape.of(ROWS)));
          Max.forward(y, index, r.input());
          Max.backward(r.grad(), y, index);
        });
    ROW_OPERATORS.put(
        "embedding",
        r -> {
          Tensor ids = r.ids(4, 0, 4, 2, 3);
          Embedding.forward(r.result(), r.input(), ids);
          Embedding.backward(r.floatGrad(), r.input(), ids, Embedding.NO_PADDING);
        });
    ROW_OPERATORS.put(
        "elementwise",
        r -> {
          Tensor a = r.input();
          Elementwise.copy(r.result(), a);
          Elementwise.multiply(r.result(), a, r.input());
          Elementwise.addBackward(new Grad(r.keep(r.dense(r.cols)), true), r.grad(), a);
          Fill.zero(r.result());
        });
    ROW_OPERATORS.put(
        "linear",
        r -> {
          Tensor x = r.input();
          Tensor w = r.input(); // [5, cols]
          Tensor y = r.ws.alloc(r.type, Shape.of(ROWS, ROWS));
          Linear.forward(r.keep(y), null, x, w, null, null);
          Linear.backward(r.grad(), r.floatGrad(), null, y, x, w);
          Tensor wide = r.result(); // rows of a result that lie apart
          Linear.forward(wide, null, y, r.dense(r.cols, ROWS), null, null);
          Tensor db = r.keep(r.floats(r.cols));
          Tensor dw = r.ws.alloc(DType.F32, Shape.of(r.cols, ROWS));
          Grad gw = new Grad(r.keep(dw), false);
          Linear.backward(null, gw, new Grad(db, true), wide, y, r.dense(r.cols, ROWS));
        });
    ROW_OPERATORS.put(
        "rope",
        r -> {
          Tensor cos = r.ws.alloc(DType.F32, Shape.of(ROWS, DIM / 2));
          Tensor sin = r.ws.alloc(DType.F32, Shape.of(ROWS, DIM / 2));
          r.fill(cos);
          r.fill(sin);
          Rotation turn = Rotation.of(cos, sin);
          Rope.forward(r.heads(r.result()), r.heads(r.input()), turn);
          Rope.backward(new Grad(r.heads(r.result()), false), r.heads(r.input()), turn);
        });
    ROW_OPERATORS.put(
        "attention",
        r -> {
          Tensor q = r.heads(r.input());
          Tensor k = r.heads(r.input());
          Tensor v = r.heads(r.input());
          Tensor o = r.heads(r.result());
          Tensor lse = r.ws.alloc(DType.F32, Shape.of(1, r.cols / DIM, ROWS));
          Attention.forward(o, lse, q, k, v, AttentionMask.CAUSAL, 0.3f);
          Attention.backward(
              new Grad(r.heads(r.result()), false),
              new Grad(r.heads(r.result()), false),
              new Grad(r.heads(r.result()), false),
              r.heads(r.input()),
              o,
              lse,
              q,
              k,
              v,
              AttentionMask.CAUSAL,
              0.3f);
        });
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16"})
  void rowsFarApartGiveTheBitsOfDenseOnes(DType type) {
    try (Cuda cuda = open(14 * GIB);
        Workspace ws = Workspace.on(cuda, 8 << 20);
        DeviceMemory far = cuda.allocate(type.bytes(4 * PITCH + 10 * LONG));
        DeviceMemory farFloats = cuda.allocate(DType.F32.bytes(4 * PITCH + 10 * LONG))) {
      ROW_OPERATORS.forEach(
          (name, op) -> {
            for (int cols : new int[] {SHORT, LONG}) {
              if (cols == LONG && name.equals("attention")) {
                continue; // heads are as wide as ever
              }
              ws.reset();
              Rows dense = new Rows(ws, type, cols, null, null);
              op.accept(dense);
              Rows apart = new Rows(ws, type, cols, far, farFloats);
              op.accept(apart);
              List<double[]> want = dense.results();
              List<double[]> got = apart.results();
              for (int i = 0; i < want.size(); i++) {
                assertThat(got.get(i)).as("%s, result %d", name, i).containsExactly(want.get(i));
              }
            }
          });
    }
  }

  /** Rows [5, cols], dense or far apart, and what an operator makes of them. */
  private static final class Rows {
    final Workspace ws;
    final DType type;
    final int cols;
    private final @Nullable DeviceMemory far;
    private final @Nullable DeviceMemory farFloats;
    private final Random random = new Random(3);
    private final List<Tensor> kept = new ArrayList<>();
    private int used;

    Rows(
        Workspace ws,
        DType type,
        int cols,
        @Nullable DeviceMemory far,
        @Nullable DeviceMemory farFloats) {
      this.ws = ws;
      this.type = type;
      this.cols = cols;
      this.far = far;
      this.farFloats = farFloats;
    }

    private Tensor rows(DType t, @Nullable DeviceMemory memory) {
      if (memory == null) {
        return ws.alloc(t, Shape.of(ROWS, cols));
      }
      long from = t.bytes(used);
      used += cols;
      Layout layout = Layout.of(Shape.of(ROWS, cols), PITCH, 1);
      return new Tensor(memory, from, layout, t, Lease.UNLIMITED);
    }

    Tensor input() {
      Tensor t = rows(type, far);
      fill(t);
      return t;
    }

    /** Filled as well: a gradient is added to what is there. */
    Tensor result() {
      return keep(input());
    }

    Grad grad() {
      return new Grad(result(), true);
    }

    Grad floatGrad() {
      Tensor t = rows(DType.F32, farFloats);
      fill(t);
      return new Grad(keep(t), true);
    }

    Tensor keep(Tensor t) {
      kept.add(t);
      return t;
    }

    Tensor floats(int n) {
      Tensor t = ws.alloc(DType.F32, Shape.of(n));
      fill(t);
      return t;
    }

    Tensor dense(int... dims) {
      Tensor t = ws.alloc(type, Shape.of(dims));
      fill(t);
      return t;
    }

    Tensor ids(int... values) {
      Tensor t = ws.alloc(DType.I32, Shape.of(values.length));
      Tensors.fill(t, Arrays.stream(values).asDoubleStream().toArray());
      return t;
    }

    /** The rows as time steps of one sequence. */
    Tensor heads(Tensor t) {
      Shape shape = Shape.of(1, ROWS, cols / DIM, DIM);
      return t.as(Layout.of(shape, 0, t.stride(0), DIM, 1));
    }

    /** Row by row: the host's copy of a tensor has what lies between its rows, too. */
    void fill(Tensor t) {
      for (Tensor row : split(t)) {
        double[] values = random.doubles(row.elements(), -1, 1).toArray();
        Tensors.fill(row, values);
      }
    }

    private static List<Tensor> split(Tensor t) {
      List<Tensor> rows = new ArrayList<>();
      for (int r = 0; r < t.dim(0); r++) {
        rows.add(t.slice(0, r, r + 1));
      }
      return rows;
    }

    List<double[]> results() {
      return kept.stream()
          .map(t -> split(t).stream().flatMapToDouble(r -> Arrays.stream(Tensors.toDoubles(r))))
          .map(DoubleStream::toArray)
          .toList();
    }
  }

  /** Parameters behind the first 2³¹ of a flat buffer are updated like the first of a small one. */
  @Test
  void aSegmentBehindTheFirstTwoThousandMillionParametersIsUpdated() {
    try (Cuda cuda = open(36 * GIB)) {
      assertThat(updated(cuda, 4 * PITCH)).containsExactly(updated(cuda, 0));
    }
  }

  private static double[] updated(Cuda cuda, long first) {
    int n = 48;
    int rows = first == 0 ? 1 : 5;
    Shape flat = Shape.of(rows, (int) Math.max(n, first / 4));
    List<Tensor> all = new ArrayList<>();
    try (Workspace ws = Workspace.on(cuda, 1 << 16);
        StepState state = StepState.on(cuda);
        DeviceMemory w = cuda.allocate(DType.F32.bytes(flat.elements()));
        DeviceMemory m = cuda.allocate(DType.F32.bytes(flat.elements()));
        DeviceMemory v = cuda.allocate(DType.F32.bytes(flat.elements()));
        DeviceMemory g = cuda.allocate(DType.F32.bytes(flat.elements()))) {
      double[] values = new Random(5).doubles(n, -1, 1).toArray();
      for (DeviceMemory memory : List.of(w, m, v, g)) {
        all.add(Tensor.of(memory, 0, DType.F32, flat));
        Tensors.of(
            memory,
            DType.F32.bytes(first),
            DType.F32,
            Shape.of(n),
            memory == v ? square(values) : values);
      }
      Tensor norm = ws.alloc(DType.F32, Shape.of(n));
      Tensors.fill(norm, values);
      state.begin(0, 0, 0.1f, 1);
      GlobalNorm.run(state, norm, 1f, LossScaling.NONE);
      List<Segment> segments = List.of(new Segment(first, first + n, 1, 0.1f));
      AdamW.step(
          new FlatWeights(all.get(0), null, all.get(3), segments),
          all.get(1),
          all.get(2),
          state,
          0.9f,
          0.95f,
          1e-3f);
      return Tensors.toDoubles(Tensor.of(w, DType.F32.bytes(first), DType.F32, Shape.of(n)));
    }
  }

  private static double[] square(double[] values) {
    return Arrays.stream(values).map(x -> x * x).toArray();
  }
}
