package dev.javelin.kernels.cuda;

import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.TensorMap;
import dev.javelin.device.TensorMap.Swizzle;
import java.util.Random;

/** The product of check_pipeline.cu, and the same by plain loops. */
final class Pipeline {
  private static final int M = 256;
  private static final int N = 256;
  private static final int K = 320; // five steps, three stages: turns do not begin with tiles
  private static final int SHARED = 3 * 2 * 128 * 64 * 2 + 2 * 64 * 128 * 2;

  private static final short[] LEFT = integers(M * K, 1); // [M, K]
  private static final short[] RIGHT = integers(N * K, 2); // [N, K]
  private static final float[] EXPECTED = product();

  private Pipeline() {}

  /** Where the kernel's product is wrong; "" if it is right. */
  static String run(Gpu gpu) {
    DeviceMemory left = gpu.of(LEFT);
    DeviceMemory right = gpu.of(RIGHT);
    DeviceMemory product = gpu.bytes(2L * M * N);
    gpu.kernel("check_pipeline")
        .grid(2) // for four tiles
        .map(TensorMap.rows(DType.BF16, left, M, K, K, 128, 64, Swizzle.BYTES_128))
        .map(TensorMap.rows(DType.BF16, right, N, K, K, 128, 64, Swizzle.BYTES_128))
        .map(TensorMap.rows(DType.BF16, product, M, N, N, 64, 64, Swizzle.BYTES_128))
        .i32(4)
        .i32(2)
        .i32(K / 64)
        .shared(SHARED)
        .run();
    gpu.synchronize();
    return difference(gpu.shorts(product, M * N));
  }

  /** By plain loops; sums of such integers are exact in fp32. */
  private static float[] product() {
    float[] c = new float[M * N];
    for (int i = 0; i < M; i++) {
      for (int j = 0; j < N; j++) {
        for (int k = 0; k < K; k++) {
          float l = Halves.value(DType.BF16, LEFT[i * K + k]);
          c[i * N + j] += l * Halves.value(DType.BF16, RIGHT[j * K + k]);
        }
      }
    }
    return c;
  }

  /** The first element that is more than one rounding to bf16 away; "" if there is none. */
  private static String difference(short[] got) {
    for (int i = 0; i < M * N; i++) {
      float value = Halves.value(DType.BF16, got[i]);
      if (!(Math.abs(value - EXPECTED[i]) <= Math.abs(EXPECTED[i]) * 0x1p-8)) {
        return "c[%d, %d] is %s, not %s".formatted(i / N, i % N, value, EXPECTED[i]);
      }
    }
    return "";
  }

  /** Between -4 and 4, as bf16. */
  private static short[] integers(int n, int seed) {
    short[] values = new short[n];
    var random = new Random(seed);
    for (int i = 0; i < n; i++) {
      values[i] = (short) (Float.floatToRawIntBits(random.nextInt(-4, 5)) >>> 16);
    }
    return values;
  }
}
