package dev.javelin.train.summary;

import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Memory;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Elementwise;
import dev.javelin.tensor.op.Matmul;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/** What this machine's arithmetic can do, found by doing it. */
public final class Peak {
  private static final int CPU_SIZE = 1024;
  private static final int GPU_SIZE = 8192;
  private static final int SMALLEST = 64;
  private static final double LONGEST_SECONDS = 0.5; // of one product: an interpreter is slow
  private static final long NANOS = 200_000_000;
  private static final int MOST = 1000;

  private Peak() {}

  /**
   * Operations a second of the fastest of several square matrix products, about a second of them:
   * from 64 × 64 up to 1024 × 1024 on a CPU, 8192 × 8192 on a GPU, as long as one takes less than
   * half a second.
   *
   * @param type of the operands
   * @return {@code null} on the emulated device, whose speed says nothing
   */
  public static @Nullable Double measure(Device device, DType type) {
    if (device instanceof Cuda cuda && cuda.properties().emulated()) {
      return null;
    }
    int largest = device instanceof Cuda ? GPU_SIZE : CPU_SIZE;
    double peak = 0;
    double seconds = 0;
    for (int n = SMALLEST; n <= largest && 8 * seconds < LONGEST_SECONDS; n *= 2) {
      seconds = seconds(device, type, n);
      peak = Math.max(peak, 2.0 * n * n * n / seconds);
    }
    return peak;
  }

  /** The shortest time of a product of that size. */
  private static double seconds(Device device, DType type, int n) {
    long bytes = type.bytes((long) n * n);
    try (Memory a = device.allocate(bytes);
        Memory b = device.allocate(bytes);
        Memory c = device.allocate(bytes)) {
      Shape shape = Shape.of(n, n);
      Tensor left = Tensor.of(a, 0, type, shape);
      Tensor right = Tensor.of(b, 0, type, shape);
      Tensor product = Tensor.of(c, 0, type, shape);
      fill(device, left);
      fill(device, right);
      long best = Long.MAX_VALUE;
      long begun = System.nanoTime();
      for (int i = 0; i < MOST && (i < 3 || System.nanoTime() - begun < NANOS); i++) {
        long from = System.nanoTime();
        Matmul.forward(product, left, right);
        device.synchronize();
        best = Math.min(best, System.nanoTime() - from);
      }
      return best * 1e-9;
    }
  }

  /** Rows of numbers that differ: a GPU takes less power, and runs faster, on zeros. */
  private static void fill(Device device, Tensor matrix) {
    int n = matrix.dim(1);
    float[] values = new float[n];
    Random random = new Random(n);
    for (int i = 0; i < n; i++) {
      values[i] = random.nextFloat() - 0.5f;
    }
    try (Memory m = device.allocate(DType.F32.bytes(n))) {
      Tensor row = Tensor.of(m, 0, DType.F32, Shape.of(1, n));
      row.fromHost(MemorySegment.ofArray(values));
      Elementwise.copy(matrix, row);
      device.synchronize();
    }
  }
}
