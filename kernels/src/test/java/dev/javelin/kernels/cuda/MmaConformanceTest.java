package dev.javelin.kernels.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.TestMachine;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Matrix fragments, ldmatrix, cp.async and vector accesses against plain loops. */
class MmaConformanceTest {
  /** 16 products of normal numbers, each exact in fp32: a few roundings of sums of about 4. */
  private static final float TOLERANCE = 16 * 4 * 0x1p-22f;

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void mmaMultipliesHalves(TestMachine machine) {
    try (Gpu gpu = Gpu.open(machine)) {
      for (DType type : new DType[] {DType.BF16, DType.F16}) {
        short[] a = Halves.random(type, 16 * 16, 1);
        short[] b = Halves.random(type, 16 * 8, 2);
        float[] c = floats(16 * 8, 3);
        DeviceMemory d = gpu.bytes(4 * 16 * 8);
        gpu.kernel("check_mma_halves_" + type.suffix())
            .grid(1)
            .ptr(d)
            .ptr(gpu.of(a))
            .ptr(gpu.of(b))
            .ptr(gpu.of(c))
            .run();
        float[] got = gpu.floats(d, 16 * 8);
        for (int i = 0; i < 16; i++) {
          for (int j = 0; j < 8; j++) {
            double sum = c[i * 8 + j];
            for (int k = 0; k < 16; k++) {
              sum += (double) Halves.value(type, a[i * 16 + k]) * Halves.value(type, b[j * 16 + k]);
            }
            assertThat(got[i * 8 + j]).isCloseTo((float) sum, within(TOLERANCE));
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void mmaMultipliesTf32(TestMachine machine) {
    try (Gpu gpu = Gpu.open(machine)) {
      float[] a = floats(16 * 8, 1);
      float[] b = floats(8 * 8, 2);
      float[] c = floats(16 * 8, 3);
      DeviceMemory d = gpu.bytes(4 * 16 * 8);
      gpu.kernel("check_mma_tf32")
          .grid(1)
          .ptr(d)
          .ptr(gpu.of(a))
          .ptr(gpu.of(b))
          .ptr(gpu.of(c))
          .run();
      float[] got = gpu.floats(d, 16 * 8);
      for (int i = 0; i < 16; i++) {
        for (int j = 0; j < 8; j++) {
          double sum = c[i * 8 + j];
          for (int k = 0; k < 8; k++) {
            sum += (double) tf32(a[i * 8 + k]) * tf32(b[j * 8 + k]);
          }
          assertThat(got[i * 8 + j]).isCloseTo((float) sum, within(TOLERANCE));
        }
      }
    }
  }

  /** 10 bits of mantissa, to nearest, ties away from zero. */
  private static float tf32(float x) {
    return Float.intBitsToFloat((Float.floatToRawIntBits(x) + 0x1000) & 0xffffe000);
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void ldmatrixHandsOutRowsOrColumns(TestMachine machine) {
    try (Gpu gpu = Gpu.open(machine)) {
      for (int count : new int[] {1, 2, 4}) {
        short[] in = new short[count * 64];
        for (int i = 0; i < in.length; i++) {
          in[i] = (short) (1000 + i);
        }
        for (boolean transposed : new boolean[] {false, true}) {
          DeviceMemory out = gpu.bytes(4L * count * 32);
          gpu.kernel("check_mma_ldmatrix_x" + count + (transposed ? "_trans" : ""))
              .grid(1)
              .ptr(out)
              .ptr(gpu.of(in))
              .run();
          int[] got = gpu.ints(out, count * 32);
          for (int q = 0; q < count; q++) {
            for (int lane = 0; lane < 32; lane++) {
              int row = lane / 4;
              int column = 2 * (lane % 4);
              int low = in[64 * q + (transposed ? 8 * column + row : 8 * row + column)];
              int high = in[64 * q + (transposed ? 8 * (column + 1) + row : 8 * row + column + 1)];
              assertThat(got[32 * q + lane]).isEqualTo(high << 16 | low);
            }
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void ldmatrixFeedsMma(TestMachine machine) {
    try (Gpu gpu = Gpu.open(machine)) {
      short[] a = Halves.random(DType.BF16, 16 * 16, 1);
      short[] b = Halves.random(DType.BF16, 16 * 8, 2);
      for (boolean transposed : new boolean[] {false, true}) {
        DeviceMemory d = gpu.bytes(4 * 16 * 8);
        gpu.kernel("check_mma_from_shared" + (transposed ? "_trans" : ""))
            .grid(1)
            .ptr(d)
            .ptr(gpu.of(a))
            .ptr(gpu.of(b))
            .run();
        float[] got = gpu.floats(d, 16 * 8);
        for (int i = 0; i < 16; i++) {
          for (int j = 0; j < 8; j++) {
            double sum = 0;
            for (int k = 0; k < 16; k++) {
              short right = transposed ? b[k * 8 + j] : b[j * 16 + k];
              sum +=
                  (double) Halves.value(DType.BF16, a[i * 16 + k])
                      * Halves.value(DType.BF16, right);
            }
            assertThat(got[i * 8 + j]).isCloseTo((float) sum, within(TOLERANCE));
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void asyncCopiesBringWhatWasAskedAndZeros(TestMachine machine) {
    try (Gpu gpu = Gpu.open(machine)) {
      for (int size : new int[] {4, 8, 16}) {
        byte[] in = new byte[128 * size];
        new Random(size).nextBytes(in);
        DeviceMemory out = gpu.bytes(in.length);
        gpu.kernel("check_mma_cp_async_" + size).grid(1).ptr(out).ptr(gpu.of(in)).run();
        byte[] expected = in.clone();
        for (int piece = 64; piece < 128; piece++) {
          Arrays.fill(expected, piece * size + piece % (size + 1), (piece + 1) * size, (byte) 0);
        }
        assertThat(gpu.byteArray(out, in.length)).isEqualTo(expected);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("dev.javelin.device.TestMachine#andChecked")
  void vectorsMoveTheirElementsInOrder(TestMachine machine) {
    try (Gpu gpu = Gpu.open(machine)) {
      int n = 1000;
      short[] x = Halves.random(DType.BF16, n, 4);
      DeviceMemory[] y = {gpu.bytes(2 * n), gpu.bytes(2 * n), gpu.bytes(2 * n)};
      gpu.kernel("check_mma_vectors")
          .grid(1)
          .ptr(y[0])
          .ptr(y[1])
          .ptr(y[2])
          .ptr(gpu.of(x))
          .i32(n)
          .run();
      short[] expected = new short[n];
      for (int i = 0; i < n; i++) {
        expected[i] = Halves.bits(DType.BF16, 2 * Halves.value(DType.BF16, x[i]));
      }
      for (DeviceMemory each : y) {
        assertThat(gpu.shorts(each, n)).isEqualTo(expected);
      }
    }
  }

  private static float[] floats(int n, long seed) {
    Random random = new Random(seed);
    float[] values = new float[n];
    for (int i = 0; i < n; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }
}
