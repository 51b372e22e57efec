package dev.javelin.kernels.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.TestMachine;
import java.util.Arrays;
import java.util.Random;
import java.util.function.IntBinaryOperator;
import java.util.function.IntPredicate;
import java.util.function.IntUnaryOperator;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Shuffles, votes, barriers, reductions and atomics against what the CUDA guide says of them. */
class WarpConformanceTest {

  private static int[] lanes(IntUnaryOperator f) {
    return IntStream.range(0, 32).map(f).toArray();
  }

  private static int[] slice(int[] all, int part) {
    return Arrays.copyOfRange(all, 32 * part, 32 * part + 32);
  }

  private static int ballot(IntPredicate p) {
    return IntStream.range(0, 32).filter(p).map(l -> 1 << l).sum();
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void shufflesReadTheLaneThatTheGuideSays(TestMachine machine) {
    try (Gpu gpu = Gpu.open(machine)) {
      for (int width = 2; width <= 32; width *= 2) {
        int w = width;
        DeviceMemory out = gpu.bytes(4 * 128);
        gpu.kernel("check_warp_shuffle").grid(1).ptr(out).i32(w).run();
        int[] got = gpu.ints(out, 128);
        assertThat(slice(got, 0)).isEqualTo(lanes(l -> 100 + l / w * w + 3 % w));
        assertThat(slice(got, 1)).isEqualTo(lanes(l -> 100 + (l % w >= 3 ? l - 3 : l)));
        assertThat(slice(got, 2)).isEqualTo(lanes(l -> 100 + (l % w + 3 < w ? l + 3 : l)));
        // A source in an earlier segment may be read, one in a later segment may not.
        assertThat(slice(got, 3))
            .isEqualTo(lanes(l -> 100 + ((l ^ 3) < l / w * w + w ? l ^ 3 : l)));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void partsOfAWarpShuffleApart(TestMachine machine) {
    try (Gpu gpu = Gpu.open(machine)) {
      DeviceMemory out = gpu.bytes(4 * 96);
      gpu.kernel("check_warp_masks").grid(1).ptr(out).run();
      int[] got = gpu.ints(out, 96);
      assertThat(slice(got, 0)).isEqualTo(lanes(l -> l ^ 5));
      assertThat(slice(got, 1)).isEqualTo(lanes(l -> l < 16 ? 7 : 20));
      assertThat(slice(got, 2)).isEqualTo(lanes(l -> l < 16 ? 20 : 7));
    }
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void votesAndMatchesSeeAllLanes(TestMachine machine) {
    try (Gpu gpu = Gpu.open(machine)) {
      DeviceMemory out = gpu.bytes(4 * 256);
      gpu.kernel("check_warp_vote").grid(1).ptr(out).run();
      int[] got = gpu.ints(out, 256);
      assertThat(slice(got, 0)).isEqualTo(lanes(_ -> ballot(l -> l % 3 == 0)));
      assertThat(slice(got, 1)).containsOnly(1);
      assertThat(slice(got, 2)).containsOnly(0);
      assertThat(slice(got, 3)).containsOnly(1);
      assertThat(slice(got, 4)).containsOnly(0);
      assertThat(slice(got, 5)).isEqualTo(lanes(l -> ballot(m -> m / 5 == l / 5)));
      assertThat(slice(got, 6)).containsOnly(-1 + 1);
      assertThat(slice(got, 7)).containsOnly(0);
    }
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void integersReduceOverTheWarp(TestMachine machine) {
    try (Gpu gpu = Gpu.open(machine)) {
      int[] in = new Random(5).ints(32).toArray();
      DeviceMemory out = gpu.bytes(4 * 256);
      gpu.kernel("check_warp_reduce").grid(1).ptr(out).ptr(gpu.of(in)).run();
      int[] got = gpu.ints(out, 256);
      IntBinaryOperator unsignedMin = (a, b) -> Integer.compareUnsigned(a, b) < 0 ? a : b;
      IntBinaryOperator unsignedMax = (a, b) -> Integer.compareUnsigned(a, b) < 0 ? b : a;
      IntBinaryOperator[] operations = {
        Integer::sum,
        unsignedMin,
        unsignedMax,
        Math::min,
        Math::max,
        (a, b) -> a & b,
        (a, b) -> a | b,
        (a, b) -> a ^ b
      };
      for (int i = 0; i < operations.length; i++) {
        assertThat(slice(got, i))
            .containsOnly(Arrays.stream(in).reduce(operations[i]).orElseThrow());
      }
    }
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void floatsReduceInOneFixedOrder(TestMachine machine) {
    try (Gpu gpu = Gpu.open(machine)) {
      float[] in = new float[160];
      Random random = new Random(6);
      for (int i = 0; i < in.length; i++) {
        in[i] = (float) random.nextGaussian();
      }
      DeviceMemory out = gpu.bytes(4 * 800);
      gpu.kernel("check_warp_float").grid(1).ptr(out).ptr(gpu.of(in)).run();
      float[] got = gpu.floats(out, 800);
      float[] sums = new float[32];
      float largest = Float.NEGATIVE_INFINITY;
      for (int warp = 0; warp < 5; warp++) {
        float[] v = Arrays.copyOfRange(in, 32 * warp, 32 * warp + 32);
        float max = Float.NEGATIVE_INFINITY;
        float min = Float.POSITIVE_INFINITY;
        for (float x : v) {
          max = Math.max(max, x);
          min = Math.min(min, x);
        }
        sums[warp] = butterfly(v);
        largest = Math.max(largest, max);
        for (int lane = 0; lane < 32; lane++) {
          assertThat(got[32 * warp + lane]).isEqualTo(sums[warp]);
          assertThat(got[160 + 32 * warp + lane]).isEqualTo(max);
          assertThat(got[320 + 32 * warp + lane]).isEqualTo(min);
        }
      }
      assertThat(Arrays.copyOfRange(got, 480, 640)).containsOnly(butterfly(sums));
      assertThat(Arrays.copyOfRange(got, 640, 800)).containsOnly(largest);
    }
  }

  /** v[l] + v[l ^ 16], then 8, 4, 2, 1: all lanes end with the same bits. */
  private static float butterfly(float[] v) {
    float[] now = v.clone();
    for (int step = 16; step > 0; step /= 2) {
      float[] before = now.clone();
      for (int l = 0; l < 32; l++) {
        now[l] = before[l] + before[l ^ step];
      }
    }
    return now[0];
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void barriersCountTheThreadsThatHaveNotEnded(TestMachine machine) {
    try (Gpu gpu = Gpu.open(machine)) {
      for (int live : new int[] {1, 33, 64, 95, 96}) {
        DeviceMemory out = gpu.bytes(4 * 480);
        gpu.kernel("check_warp_barrier").grid(1).ptr(out).i32(live).run();
        int[] got = gpu.ints(out, 480);
        assertThat(Arrays.copyOf(got, live)).containsOnly((live + 1) / 2);
        assertThat(Arrays.copyOfRange(got, 96, 96 + live)).containsOnly(1);
        assertThat(Arrays.copyOfRange(got, 192, 192 + live)).containsOnly(live == 1 ? 1 : 0);
        assertThat(Arrays.copyOfRange(got, 288, 288 + live)).containsOnly(0);
        assertThat(Arrays.copyOfRange(got, 384, 384 + live)).containsOnly(1);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void namedBarriersOrderSomeWarps(TestMachine machine) {
    try (Gpu gpu = Gpu.open(machine)) {
      DeviceMemory out = gpu.bytes(4 * 64);
      gpu.kernel("check_warp_named").grid(1).ptr(out).run();
      assertThat(gpu.ints(out, 64))
          .isEqualTo(IntStream.range(0, 64).map(i -> 3 * (63 - i)).toArray());
    }
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void atomicsAddUpOverBlocksAndTheLastBlockKnowsItself(TestMachine machine) {
    try (Gpu gpu = Gpu.open(machine)) {
      int blocks = 7;
      int n = 64 * blocks;
      DeviceMemory counter = gpu.of(new int[3]);
      DeviceMemory total = gpu.bytes(4);
      gpu.kernel("check_warp_atomic")
          .grid(blocks)
          .ptr(counter)
          .ptr(gpu.bytes(4 * blocks))
          .ptr(total)
          .run();
      assertThat(gpu.ints(counter, 3)).containsExactly(n * (n - 1) / 2, n - 1, 0);
      assertThat(gpu.floats(total, 1)).containsExactly(n * (n - 1) / 2f);
    }
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void conversionsRoundToNearest(TestMachine machine) {
    try (Gpu gpu = Gpu.open(machine)) {
      float[] in = values();
      int n = in.length;
      DeviceMemory out = gpu.bytes(4L * 8 * n);
      gpu.kernel("check_warp_convert").grid(1).ptr(out).ptr(gpu.of(in)).i32(n).run();
      float[] got = gpu.floats(out, 8 * n);
      for (int i = 0; i < n; i++) {
        float x = in[i];
        assertThat(got[i]).as("bf16 of %s", x).isEqualTo(boxed(DType.BF16, x));
        assertThat(got[n + i]).as("f16 of %s", x).isEqualTo(boxed(DType.F16, x));
        if (Float.isFinite(x)) {
          // 10 bits of mantissa: half a step is 2^-11 of the value.
          assertThat(got[2 * n + i])
              .as("tf32 of %s", x)
              .isBetween(low(x, 0x1p-11f), high(x, 0x1p-11f));
          assertThat(Float.floatToRawIntBits(got[2 * n + i]) & 0x1fff).isZero();
        }
        float exp2 = (float) Math.pow(2, x);
        if (Math.abs(x) < 120) {
          assertThat(got[3 * n + i])
              .as("2^%s", x)
              .isBetween(low(exp2, 0x1p-21f), high(exp2, 0x1p-21f));
          float tanh = (float) Math.tanh(x);
          assertThat(got[4 * n + i])
              .as("tanh %s", x)
              .isBetween(low(tanh, 0x1p-10f), high(tanh, 0x1p-10f));
        }
        if (!Float.isNaN(x)) {
          assertThat(got[5 * n + i]).as("pack of %s", x).isEqualTo(2 * Halves.round(DType.BF16, x));
          assertThat(got[6 * n + i]).as("pack of %s", x).isEqualTo(2 * Halves.round(DType.F16, x));
        }
        if (Math.abs(x) > 0x1p-126f && Math.abs(x) < 0x1p126f) {
          float reciprocal = 1 / x;
          assertThat(got[7 * n + i])
              .as("1/%s", x)
              .isBetween(low(reciprocal, 0x1p-22f), high(reciprocal, 0x1p-22f));
        }
      }
    }
  }

  /** An object, since NaN equals itself only there. */
  private static Float boxed(DType type, float x) {
    return Halves.round(type, x);
  }

  private static float low(float x, float relative) {
    return x - Math.abs(x) * relative;
  }

  private static float high(float x, float relative) {
    return x + Math.abs(x) * relative;
  }

  /** Ties, ends of ranges, numbers below the smallest normal fp16, and random ones. */
  private static float[] values() {
    float[] special = {
      0f,
      -0f,
      1f,
      1.00390625f,
      1.01171875f,
      65504f,
      65519.996f,
      65520f,
      -70000f,
      0x1p-14f,
      0x1p-15f,
      0x1.8p-24f,
      0x1p-25f,
      0x1.000002p-25f,
      0x1.ffcp-15f,
      3.39e38f,
      Float.POSITIVE_INFINITY,
      Float.NEGATIVE_INFINITY,
      Float.NaN
    };
    float[] all = Arrays.copyOf(special, 1000);
    Random random = new Random(8);
    for (int i = special.length; i < all.length; i++) {
      all[i] = (float) (random.nextGaussian() * Math.pow(2, random.nextInt(40) - 30));
    }
    return all;
  }
}
