package dev.javelin.kernels.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.TensorMap;
import dev.javelin.device.TensorMap.Swizzle;
import dev.javelin.device.TestMachine;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Every rung of {@code docs/kernels/ladder} computes what its first line says. */
class LadderTest {
  private static final int DIM = 64;

  /** Rungs by their number, from 1: elements of c in a block's edge; 0: a thread has one. */
  private static final int[] EDGES = {0, 0, 32, 128, 128, 128, 128, 128, 128};

  /** From which rung on rows must begin at 16-byte boundaries. */
  private static final int IN_CHUNKS = 5;

  /** From which rung on matrices, and heads, are tensor maps, and the capability is 9.0. */
  private static final int ON_HOPPER = 10;

  /** From which rung on blocks of a product run in clusters of two. */
  private static final int IN_PAIRS = 14;

  private static final int ATTENTION_ON_HOPPER = 7;

  /** From which rung on attention's blocks take one piece of work after the other. */
  private static final int ATTENTION_STAYS = 9;

  /** From which rung on probabilities are rounded to bf16, and a block has 64 queries. */
  private static final int ON_TENSOR_CORES = 4;

  static Stream<Arguments> rungs(String ladder) {
    List<TestMachine> machines = TestMachine.andChecked().toList();
    List<TestMachine> chosen = // forward, reverse and seeded order; on 8.0 and 9.0; checked
        machines.size() == 1
            ? machines
            : List.of(
                machines.get(1),
                machines.get(2),
                machines.get(6),
                machines.get(machines.size() - 1));
    List<TestMachine> hopper = // the same orders; all on 9.0
        machines.stream().filter(m -> m.capability() == 90 || m.capability() == 0).toList();
    return Ladder.rungs(ladder).stream()
        .flatMap(
            rung ->
                (isOnHopper(rung) ? hopper : chosen)
                    .stream().map(machine -> Arguments.of(rung, machine)));
  }

  private static boolean isOnHopper(Ladder.Rung rung) {
    boolean product = rung.ladder().equals("matmul");
    return rung.number() >= (product ? ON_HOPPER : ATTENTION_ON_HOPPER);
  }

  static Stream<Arguments> matmul() {
    return rungs("matmul");
  }

  static Stream<Arguments> attention() {
    return rungs("attention");
  }

  @Test
  void bothLaddersAreComplete() {
    assertThat(Ladder.rungs("matmul").stream().map(Ladder.Rung::number))
        .containsExactly(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14);
    assertThat(Ladder.rungs("attention").stream().map(Ladder.Rung::number))
        .containsExactly(1, 2, 3, 4, 5, 6, 7, 8, 9);
  }

  @ParameterizedTest(name = "{0} on {1}")
  @MethodSource
  void matmul(Ladder.Rung rung, TestMachine machine) {
    try (Gpu gpu = Gpu.ladder(machine)) {
      if (isOnHopper(rung)) {
        assumeTrue(gpu.capability() == 90, "for compute capability 9.0");
        // more steps than any ring has stages, a second tile; of pairs each block has rows
        matmul(gpu, rung, rung.number() >= IN_PAIRS ? 200 : 70, 264, 328);
      }
      boolean chunks = rung.number() >= IN_CHUNKS;
      int[][] shapes = {
        {1, 8, 8},
        {130, 136, 40},
        {64, 24, 104},
        chunks ? new int[] {33, 40, 16} : new int[] {7, 5, 3}
      };
      for (int[] s : shapes) {
        matmul(gpu, rung, s[0], s[1], s[2]);
      }
    }
  }

  private static void matmul(Gpu gpu, Ladder.Rung rung, int m, int n, int k) {
    short[] a = Halves.random(DType.BF16, m * k, 1);
    short[] b = Halves.random(DType.BF16, k * n, 2);
    DeviceMemory c = gpu.of(nans(m * n));
    if (rung.number() >= ON_HOPPER) {
      launchOnHopper(gpu, rung, c, gpu.of(a), gpu.of(b), m, n, k);
    } else {
      int edge = EDGES[rung.number() - 1];
      var kernel = gpu.kernel(rung.toString());
      (edge == 0
              ? kernel.threads((long) m * n)
              : kernel.grid(Math.ceilDiv(n, edge), Math.ceilDiv(m, edge)))
          .ptr(c)
          .ptr(gpu.of(a))
          .ptr(gpu.of(b))
          .i32(m)
          .i32(n)
          .i32(k)
          .run();
    }
    float[] got = gpu.floats(c, m * n);
    for (int i = 0; i < m; i++) {
      for (int j = 0; j < n; j++) {
        double sum = 0;
        double size = 0;
        for (int l = 0; l < k; l++) {
          double product = value(a[i * k + l]) * value(b[l * n + j]);
          sum += product;
          size += Math.abs(product);
        }
        // Products of bf16 are exact in fp32; k additions round, those of tensor cores truncate.
        assertThat(Math.abs(got[i * n + j] - sum))
            .as("%s, %dx%dx%d, c[%d, %d] = %s, not %s", rung, m, n, k, i, j, got[i * n + j], sum)
            .isLessThanOrEqualTo(k * 0x1p-23 * size);
      }
    }
  }

  private static void launchOnHopper(
      Gpu gpu,
      Ladder.Rung rung,
      DeviceMemory c,
      DeviceMemory a,
      DeviceMemory b,
      int m,
      int n,
      int k) {
    boolean wide = rung.number() >= 12;
    boolean stays = rung.number() >= 13;
    int cluster = rung.number() >= IN_PAIRS ? 2 : 1;
    int step = (128 + (wide ? 256 : 128)) * 128; // bytes
    int stages = rung.number() == 10 ? 1 : rung.constant("kStages");
    int boxes = stays ? 2 * rung.constant("kBoxes") * 64 * 128 : 0;
    var kernel = gpu.kernel(rung.toString());
    var launch =
        stays
            ? kernel
                .grid(cluster)
                .cluster(cluster)
                .map(TensorMap.rows(DType.F32, c, m, n, n, 64, 32, Swizzle.BYTES_128))
            : kernel.grid(Math.ceilDiv(n, wide ? 256 : 128), Math.ceilDiv(m, 128)).ptr(c);
    launch
        .map(TensorMap.rows(DType.BF16, a, m, k, k, 128, 64, Swizzle.BYTES_128))
        .map(TensorMap.rows(DType.BF16, b, k, n, n, 64, 64, Swizzle.BYTES_128))
        .i32(m)
        .i32(n)
        .i32(k)
        .shared(stages * step + boxes)
        .run();
  }

  @ParameterizedTest(name = "{0} on {1}")
  @MethodSource
  void attention(Ladder.Rung rung, TestMachine machine) {
    try (Gpu gpu = Gpu.ladder(machine)) {
      if (isOnHopper(rung)) {
        assumeTrue(gpu.capability() == 90, "for compute capability 9.0");
        attention(gpu, rung, 1, 330, true); // each stage is filled more than once
        if (rung.number() >= ATTENTION_STAYS) {
          attention(gpu, rung, 2, 200, true); // two blocks, two pieces of work each
        }
      }
      for (int tokens : new int[] {1, 64, 150}) {
        attention(gpu, rung, 2, tokens, true);
        attention(gpu, rung, 1, tokens, false);
      }
    }
  }

  private static void attention(Gpu gpu, Ladder.Rung rung, int heads, int tokens, boolean causal) {
    int n = heads * tokens * DIM;
    short[] q = Halves.random(DType.BF16, n, 3);
    short[] k = Halves.random(DType.BF16, n, 4);
    short[] v = Halves.random(DType.BF16, n, 5);
    float scale = 0.5f; // scores of about 4: some keys count, others do not
    DeviceMemory o = gpu.of(nans(n));
    DeviceMemory[] in = {gpu.of(q), gpu.of(k), gpu.of(v)};
    int flag = causal ? 1 : 0;
    if (rung.number() == 1) {
      DeviceMemory s = gpu.of(nans(heads * tokens * tokens));
      gpu.kernel("attention_1_scores")
          .grid(Math.ceilDiv(tokens * tokens, 256), heads)
          .ptr(s)
          .ptr(in[0])
          .ptr(in[1])
          .i32(tokens)
          .f32(scale)
          .i32(flag)
          .run();
      gpu.kernel("attention_1_softmax")
          .grid(Math.ceilDiv(tokens, 256), heads)
          .ptr(s)
          .i32(tokens)
          .run();
      gpu.kernel("attention_1_values")
          .grid(Math.ceilDiv(tokens * DIM, 256), heads)
          .ptr(o)
          .ptr(s)
          .ptr(in[2])
          .i32(tokens)
          .run();
    } else if (isOnHopper(rung)) {
      launchOnHopper(gpu, rung, o, in, heads, tokens, scale, flag);
    } else {
      gpu.kernel(rung.toString())
          .grid(Math.ceilDiv(tokens, rung.number() >= ON_TENSOR_CORES ? 64 : 128), heads)
          .ptr(o)
          .ptr(in[0])
          .ptr(in[1])
          .ptr(in[2])
          .i32(tokens)
          .f32(scale)
          .i32(flag)
          .run();
    }
    // Relative, of a probability: rounded to bf16, or as the fast exponential of an fp32 score is.
    double error = rung.number() >= ON_TENSOR_CORES ? 1.01 * 0x1p-8 : 0x1p-18;
    float[] got = gpu.floats(o, n);
    for (int row = 0; row < heads * tokens; row++) {
      int first = row / tokens * tokens;
      int seen = causal ? row - first + 1 : tokens;
      double[] p = new double[seen];
      for (int j = 0; j < seen; j++) {
        for (int d = 0; d < DIM; d++) {
          p[j] += scale * value(q[row * DIM + d]) * value(k[(first + j) * DIM + d]);
        }
      }
      double top = Arrays.stream(p).max().orElseThrow();
      double total = 0;
      for (int j = 0; j < seen; j++) {
        p[j] = Math.exp(p[j] - top);
        total += p[j];
      }
      for (int d = 0; d < DIM; d++) {
        double sum = 0;
        double size = 0;
        for (int j = 0; j < seen; j++) {
          double part = p[j] / total * value(v[(first + j) * DIM + d]);
          sum += part;
          size += Math.abs(part);
        }
        assertThat(Math.abs(got[row * DIM + d] - sum))
            .as(
                "%s, %d tokens, causal %s, o[%d, %d] = %s, not %s",
                rung, tokens, causal, row, d, got[row * DIM + d], sum)
            .isLessThanOrEqualTo(error * size);
      }
    }
  }

  private static void launchOnHopper(
      Gpu gpu,
      Ladder.Rung rung,
      DeviceMemory o,
      DeviceMemory[] in,
      int heads,
      int tokens,
      float scale,
      int flag) {
    boolean stays = rung.number() >= ATTENTION_STAYS;
    int rows = stays ? 64 * rung.constant("kWarpgroups") : 64; // queries of a block
    int keys = stays ? rung.constant("kKeys") : 64;
    int stages = stays ? rung.constant("kStages") : rung.number() == ATTENTION_ON_HOPPER ? 2 : 4;
    int work = Math.ceilDiv(tokens, rows);
    var kernel = gpu.kernel(rung.toString());
    var launch =
        (stays ? kernel.grid(Math.ceilDiv(work * heads, 2)) : kernel.grid(work, heads)).ptr(o);
    for (DeviceMemory of : in) {
      launch.map(
          TensorMap.of(
              DType.BF16,
              of,
              new long[] {DIM, tokens, heads},
              new long[] {2L * DIM, 2L * DIM * tokens},
              new int[] {DIM, of == in[0] ? rows : keys, 1},
              Swizzle.BYTES_128));
    }
    if (stays) {
      launch.i32(heads);
    }
    launch.i32(tokens).f32(scale).i32(flag).shared((rows + stages * keys) * 2 * DIM).run();
  }

  private static float value(short bits) {
    return Halves.value(DType.BF16, bits);
  }

  /** An element that a kernel leaves out is no number. */
  private static float[] nans(int n) {
    float[] values = new float[n];
    Arrays.fill(values, Float.NaN);
    return values;
  }
}
