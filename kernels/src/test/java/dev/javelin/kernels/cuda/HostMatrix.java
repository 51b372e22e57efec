package dev.javelin.kernels.cuda;

import static dev.javelin.device.DType.F32;
import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import java.util.Random;

/** A matrix as the test sees it: rows with gaps behind each but the last. */
record HostMatrix(DType type, int rows, int cols, int gap, float[] values) {

  static HostMatrix random(DType type, int rows, int cols, int gap, float inGaps, long seed) {
    Random random = new Random(seed);
    float[] values = new float[(rows - 1) * (cols + gap) + cols];
    for (int i = 0; i < values.length; i++) {
      float v = i % (cols + gap) < cols ? (float) random.nextGaussian() : inGaps;
      values[i] = type == F32 ? v : Halves.round(type, v);
    }
    return new HostMatrix(type, rows, cols, gap, values);
  }

  /** From -4 to 4, without gaps. */
  static HostMatrix integers(DType type, int rows, int cols, long seed) {
    Random random = new Random(seed);
    float[] values = new float[rows * cols];
    for (int i = 0; i < values.length; i++) {
      values[i] = random.nextInt(9) - 4;
    }
    return new HostMatrix(type, rows, cols, 0, values);
  }

  HostMatrix filled(float value) {
    float[] other = values.clone();
    for (int i = 0; i < other.length; i++) {
      other[i] = i % stride() < cols ? value : other[i];
    }
    return new HostMatrix(type, rows, cols, gap, other);
  }

  int stride() {
    return cols + gap;
  }

  float at(int row, int col) {
    return values[row * stride() + col];
  }

  CudaMatrix matrix(DeviceMemory memory, boolean transposed) {
    return new CudaMatrix(memory, type, stride(), transposed);
  }

  DeviceMemory upload(Gpu gpu) {
    if (type == F32) {
      return gpu.of(values);
    }
    short[] bits = new short[values.length];
    for (int i = 0; i < bits.length; i++) {
      bits[i] = Halves.bits(type, values[i]);
    }
    return gpu.of(bits);
  }

  HostMatrix download(Gpu gpu, DeviceMemory memory) {
    if (type == F32) {
      return new HostMatrix(type, rows, cols, gap, gpu.floats(memory, values.length));
    }
    short[] bits = gpu.shorts(memory, values.length);
    float[] got = new float[bits.length];
    for (int i = 0; i < bits.length; i++) {
      got[i] = Halves.value(type, bits[i]);
    }
    return new HostMatrix(type, rows, cols, gap, got);
  }

  void assertGapsAre(float value, String what) {
    for (int i = 0; i < values.length; i++) {
      if (i % stride() >= cols) {
        assertThat(values[i]).as("%s: gap at %d", what, i).isEqualTo(value);
      }
    }
  }
}
