package dev.javelin.kernels.cuda;

import static dev.javelin.device.DType.BF16;
import static dev.javelin.device.DType.F16;
import static dev.javelin.device.DType.F32;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.Emulator;
import dev.javelin.device.TestMachine;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Attention's forward pass for compute capability 9.0 against plain loops in double. Memory between
 * heads and behind sequences is NaN in operands and 7 in results.
 */
class AttentionHopperTest {
  static final float GAP = 7; // between results
  private static final int SPARE = 3; // positions behind each sequence

  /** Sizes, mask and layout of one pass; window 0: none. */
  record Case(
      DType type,
      int batch,
      int queries,
      int keys,
      int heads,
      int group,
      int dim,
      boolean causal,
      int window,
      boolean documents,
      boolean headsFirst) {

    float scale() {
      return (float) (1.5 / Math.sqrt(dim));
    }

    int keyHeads() {
      return heads / group;
    }

    CudaMask mask(DeviceMemory starts) {
      return new CudaMask(causal, window, 0, null, null, documents ? starts : null, null);
    }

    /** The first key that query {@code t} of a sequence sees, and the one after the last. */
    int[] seen(int[] starts, int b, int t) {
      int position = keys - queries + t;
      int from = window > 0 ? Math.max(0, position - window + 1) : 0;
      if (documents) {
        from = Math.max(from, starts[b * queries + t]);
      }
      return new int[] {from, causal ? position + 1 : keys};
    }
  }

  static final List<Case> CASES =
      List.of(
          new Case(BF16, 2, 130, 130, 2, 2, 64, true, 0, false, false),
          new Case(F16, 1, 200, 200, 2, 1, 64, false, 0, false, true),
          new Case(BF16, 1, 140, 270, 2, 2, 128, true, 0, false, true),
          new Case(F16, 1, 150, 150, 4, 2, 128, true, 40, false, false),
          new Case(BF16, 2, 130, 300, 1, 1, 64, true, 0, true, false),
          new Case(F16, 1, 1, 600, 2, 2, 128, false, 0, false, false),
          new Case(F16, 1, 130, 280, 6, 3, 128, true, 0, false, false),
          new Case(BF16, 1, 385, 385, 1, 1, 64, true, 129, true, true),
          new Case(BF16, 1, 130, 190, 2, 2, 96, true, 0, false, false),
          new Case(F16, 2, 100, 100, 2, 1, 72, true, 60, true, true),
          new Case(F16, 1, 70, 140, 2, 1, 40, false, 0, false, false));

  /** o and lse. */
  private static final Map<Case, List<float[]>> CONFIRMED = new HashMap<>();

  static Stream<TestMachine> machines() {
    return TestMachine.andChecked().filter(m -> m.capability() == 90 || m.capability() == 0);
  }

  static Gpu open(TestMachine machine) {
    Gpu gpu = Gpu.open(machine);
    if (gpu.isEmulated()) {
      Emulator.set("guard", "1");
    }
    Assumptions.assumeTrue(gpu.capability() == 90, "for compute capability 9.0");
    return gpu;
  }

  /** Heads on the host: rows are positions of all heads, or of one head after the other. */
  record Heads(HostMatrix rows, int batch, int time, int heads, int dim, boolean apart) {
    static Heads random(Case c, int time, int heads, float around, long seed) {
      boolean apart = c.headsFirst;
      int sequences = apart ? c.batch * heads : c.batch;
      int cols = apart ? c.dim : heads * c.dim;
      HostMatrix rows =
          HostMatrix.random(c.type, sequences * (time + SPARE), cols, 8, around, seed);
      for (int row = 0; row < rows.rows(); row++) {
        if (row % (time + SPARE) >= time) {
          int at = row * rows.stride();
          Arrays.fill(rows.values(), at, at + cols, around);
        }
      }
      return new Heads(rows, c.batch, time, heads, c.dim, apart);
    }

    Heads with(HostMatrix other) {
      return new Heads(other, batch, time, heads, dim, apart);
    }

    int index(int b, int t, int h, int d) {
      int sequence = apart ? b * heads + h : b;
      return (sequence * (time + SPARE) + t) * rows.stride() + (apart ? d : h * dim + d);
    }

    float at(int b, int t, int h, int d) {
      return rows.values()[index(b, t, h, d)];
    }

    CudaHeads on(DeviceMemory memory) {
      long sequence = (long) (time + SPARE) * rows.stride();
      return new CudaHeads(
          memory,
          rows.type(),
          batch,
          time,
          heads,
          dim,
          apart ? heads * sequence : sequence,
          rows.stride(),
          apart ? sequence : dim,
          false);
    }

    /** That nothing but the heads was written. */
    void assertSpareIs(float value, String what) {
      boolean[] inside = new boolean[rows.values().length];
      for (int b = 0; b < batch; b++) {
        for (int t = 0; t < time; t++) {
          for (int h = 0; h < heads; h++) {
            Arrays.fill(inside, index(b, t, h, 0), index(b, t, h, 0) + dim, true);
          }
        }
      }
      for (int i = 0; i < inside.length; i++) {
        if (!inside[i] && rows.values()[i] != value) {
          fail("%s: %s was written to element %d".formatted(what, rows.values()[i], i));
        }
      }
    }
  }

  /** Documents of random lengths; now and then one begins behind its query, which sees nothing. */
  static int[] starts(Case c) {
    Random random = new Random(5);
    int[] starts = new int[c.batch * c.queries];
    for (int i = 0; i < starts.length; i++) {
      int position = c.keys - c.queries + i % c.queries;
      boolean goesOn = i % c.queries != 0 && random.nextInt(40) != 0;
      starts[i] = goesOn ? starts[i - 1] : random.nextInt(5) == 0 ? position + 1 : position;
    }
    return starts;
  }

  /** All machines give the bits of the first, which loops have confirmed. */
  @ParameterizedTest
  @MethodSource("machines")
  void everyTypeMaskAndLayoutMatchesPlainLoops(TestMachine machine) {
    try (Gpu gpu = open(machine)) {
      CASES.forEach(c -> check(gpu, c));
    }
  }

  /** Whenever copies and products take effect, and in whatever order threads come. */
  @Test
  void noScheduleChangesItsBits() {
    Case c = new Case(BF16, 1, 70, 300, 1, 1, 64, true, 0, false, false);
    for (String async : new String[] {"late", "early", "1", "2", "3", "4"}) {
      try (Gpu gpu = Gpu.checked()) {
        Emulator.set("order", async.length() > 1 ? "reverse" : async);
        Emulator.set("async", async);
        check(gpu, c);
      }
    }
  }

  /** Whoever takes up which work, and how often: the counter is at 0 after each launch. */
  @Test
  void noOrderOfWorkChangesItsBits() {
    Case c = new Case(BF16, 1, 200, 200, 5, 1, 64, true, 0, false, false);
    for (String order : new String[] {"forward", "reverse"}) {
      try (Gpu gpu = Gpu.checked()) {
        Emulator.set("order", order);
        check(gpu, c);
        check(gpu, c, 1, 2);
        check(gpu, c, 3, 1);
        check(gpu, c, 10, 5);
      }
    }
  }

  @Test
  void headsAtOnceAreThoseWhoseKeysAndValuesFitTheCache() {
    assertThat(AttentionHopper.headsAtOnce(64, 1, 8192, 128)).isEqualTo(8); // 4 MB each
    assertThat(AttentionHopper.headsAtOnce(10, 4, 8192, 128)).isEqualTo(5 * 4);
    assertThat(AttentionHopper.headsAtOnce(3, 2, 1 << 20, 128)).isEqualTo(2);
    assertThat(AttentionHopper.headsAtOnce(3, 2, 100, 64)).isEqualTo(3 * 2);
  }

  private static void check(Gpu gpu, Case c) {
    check(gpu, c, 0, 0);
  }

  /** By so many blocks, of so many heads at once; 0: as the library has it. */
  private static void check(Gpu gpu, Case c, int blocks, int headsAtOnce) {
    Heads q = Heads.random(c, c.queries, c.heads, Float.NaN, 1);
    Heads k = Heads.random(c, c.keys, c.keyHeads(), Float.NaN, 2);
    Heads v = Heads.random(c, c.keys, c.keyHeads(), Float.NaN, 3);
    Heads o = Heads.random(c, c.queries, c.heads, GAP, 4);
    int[] starts = starts(c);
    CudaMask mask = c.mask(gpu.of(starts));
    DeviceMemory results = o.rows.upload(gpu);
    DeviceMemory lse = gpu.bytes(F32.bytes((long) c.batch * c.heads * c.queries));
    CudaHeads to = o.on(results);
    CudaHeads queries = q.on(q.rows.upload(gpu));
    CudaHeads keys = k.on(k.rows.upload(gpu));
    CudaHeads values = v.on(v.rows.upload(gpu));
    assertThat(AttentionHopper.fits(gpu.cuda(), to, queries, keys, values, mask, c.scale()))
        .as(c.toString())
        .isTrue();
    if (blocks == 0) {
      AttentionHopper.forward(gpu.cuda(), to, lse, queries, keys, values, mask, c.scale());
    } else {
      AttentionHopper.forward(
          gpu.cuda(), to, lse, queries, keys, values, mask, c.scale(), blocks, headsAtOnce);
    }
    Heads got = o.with(o.rows.download(gpu, results));
    float[] gotLse = gpu.floats(lse, c.batch * c.heads * c.queries);
    got.assertSpareIs(GAP, c.toString());
    List<float[]> confirmed = CONFIRMED.get(c);
    if (confirmed != null) {
      assertThat(got.rows.values()).as("o, %s", c).containsExactly(confirmed.get(0));
      assertThat(gotLse).as("lse, %s", c).containsExactly(confirmed.get(1));
      return;
    }
    for (int b = 0; b < c.batch; b++) {
      for (int h = 0; h < c.heads; h++) {
        for (int t = 0; t < c.queries; t++) {
          int[] seen = c.seen(starts, b, t);
          float rowLse = gotLse[(b * c.heads + h) * c.queries + t];
          row(c, got, rowLse, q, k, v, b, h, t, seen[0], seen[1]);
        }
      }
    }
    CONFIRMED.put(c, List.of(got.rows.values(), gotLse));
  }

  /** The result of one query, which sees the keys [from, end). */
  private static void row(
      Case c,
      Heads got,
      float lse,
      Heads q,
      Heads k,
      Heads v,
      int b,
      int h,
      int t,
      int from,
      int end) {
    double[] p = new double[c.keys];
    double most = Double.NEGATIVE_INFINITY;
    for (int j = from; j < end; j++) {
      for (int d = 0; d < c.dim; d++) {
        p[j] += (double) q.at(b, t, h, d) * k.at(b, j, h / c.group, d);
      }
      p[j] *= c.scale();
      most = Math.max(most, p[j]);
    }
    double sum = 0;
    for (int j = from; j < end; j++) {
      p[j] = Math.exp(p[j] - most);
      sum += p[j];
    }
    double wantLse = from < end ? most + Math.log(sum) : Double.NEGATIVE_INFINITY;
    if (!(lse == wantLse || Math.abs(lse - wantLse) <= 2e-5 * (1 + Math.abs(wantLse)))) {
      fail("%s: lse[%d, %d, %d] is %s, should be %s".formatted(c, b, h, t, lse, wantLse));
    }
    double unit = c.type == BF16 ? 0x1p-8 : 0x1p-11; // of rounding
    for (int d = 0; d < c.dim; d++) {
      double want = 0;
      double absolute = 0; // of the terms
      double tiny = 0; // what probabilities below fp16's normal range may be off by
      for (int j = from; j < end; j++) {
        double x = v.at(b, j, h / c.group, d);
        want += p[j] * x / sum;
        absolute += Math.abs(p[j] * x) / sum;
        tiny += c.type == F16 ? 0x1p-25 * Math.abs(x) / sum : 0;
      }
      double error = Math.abs(got.at(b, t, h, d) - want);
      double bound = (unit + 3e-5) * absolute + tiny + unit * Math.abs(want) * 1.01 + 0x1p-24;
      if (!(error <= bound)) { // NaN included
        fail(
            "%s: o[%d, %d, %d, %d] is %s, should be %s"
                .formatted(c, b, t, h, d, got.at(b, t, h, d), want));
      }
    }
  }

  @Test
  void whatItHasNoKernelForIsLeftToTheOlderOne() {
    try (Gpu gpu = open(machines().findFirst().orElseThrow())) {
      DeviceMemory memory = gpu.bytes(1 << 16);
      CudaHeads good = heads(memory, BF16, 64, 64);
      CudaMask plain = new CudaMask(true, 0, 0, null, null, null, null);
      assertThat(fits(gpu, good, plain, 1)).isTrue();
      assertThat(fits(gpu, heads(memory, BF16, 128, 128), plain, 1)).isTrue();
      assertThat(fits(gpu, heads(memory, F32, 64, 64), plain, 1)).isFalse();
      assertThat(fits(gpu, heads(memory, BF16, 96, 96), plain, 1)).isTrue();
      for (int dim : new int[] {32, 100, 136}) {
        assertThat(fits(gpu, heads(memory, BF16, dim, 144), plain, 1)).as("%d", dim).isFalse();
      }
      assertThat(fits(gpu, heads(memory, BF16, 64, 68), plain, 1)).isFalse();
      CudaHeads odd =
          new CudaHeads(() -> memory.address() + 8, BF16, 1, 4, 2, 64, 0, 128, 64, false);
      assertThat(fits(gpu, odd, plain, 1)).isFalse();
      assertThat(fits(gpu, good, plain, -1)).isFalse();
      assertThat(fits(gpu, good, new CudaMask(true, 0, 2, null, null, null, null), 1)).isFalse();
      assertThat(fits(gpu, good, new CudaMask(true, 0, 0, memory, null, null, null), 1)).isFalse();
      assertThat(fits(gpu, good, new CudaMask(true, 0, 0, null, memory, null, null), 1)).isFalse();
      assertThat(fits(gpu, good, new CudaMask(true, 0, 0, null, null, null, memory), 1)).isFalse();
    }
  }

  @Test
  void itIsChosenFromAWarpgroupsQueriesOn() {
    try (Gpu gpu = open(machines().findFirst().orElseThrow())) {
      DeviceMemory memory = gpu.bytes(1 << 16);
      CudaMask mask = new CudaMask(true, 0, 0, null, null, null, null);
      for (int queries : new int[] {63, 64}) {
        CudaHeads h = new CudaHeads(memory, BF16, 1, queries, 1, 64, 0, 64, 64, false);
        DeviceMemory o = gpu.bytes(1 << 16);
        CudaHeads to = new CudaHeads(o, BF16, 1, queries, 1, 64, 0, 64, 64, false);
        AttentionCuda.forward(gpu.cuda(), to, gpu.bytes(4 * 64), h, h, h, mask, 1, null);
        assertThat(gpu.cuda().launches("attention_forward_hopper"))
            .as("%d queries", queries)
            .isEqualTo(queries - 63);
      }
    }
  }

  private static CudaHeads heads(DeviceMemory memory, DType type, int dim, int headStride) {
    return new CudaHeads(memory, type, 1, 4, 2, dim, 0, 2L * headStride, headStride, false);
  }

  private static boolean fits(Gpu gpu, CudaHeads h, CudaMask mask, float scale) {
    return AttentionHopper.fits(gpu.cuda(), h, h, h, h, mask, scale);
  }
}
