package dev.javelin.train.summary;

import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Memory;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Elementwise;
import dev.javelin.tensor.op.Matmul;
import dev.javelin.tensor.step.Workspace;
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
   * @param workspace gives the matrices; that of a trainer is free between steps, so that nothing
   *     is added to what the run has taken
   * @param type of the operands
   * @return {@code null} on the emulated device, whose speed says nothing
   */
  public static @Nullable Double measure(Workspace workspace, DType type) {
    Device device = workspace.device();
    if (device instanceof Cuda cuda && cuda.properties().emulated()) {
      return null;
    }
    int largest = device instanceof Cuda ? GPU_SIZE : CPU_SIZE;
    double peak = 0;
    double seconds = 0;
    for (int n = SMALLEST; n <= largest && 8 * seconds < LONGEST_SECONDS; n *= 2) {
      seconds = seconds(workspace, type, n);
      peak = Math.max(peak, 2.0 * n * n * n / seconds);
    }
    return peak;
  }

  /** The shortest time of a product of that size. */
  private static double seconds(Workspace workspace, DType type, int n) {
    Device device = workspace.device();
    Shape shape = Shape.of(n, n);
    try (Workspace.Scratch a = workspace.scratch(type, shape);
        Workspace.Scratch b = workspace.scratch(type, shape);
        Workspace.Scratch c = workspace.scratch(type, shape)) {
      Tensor left = a.tensor();
      Tensor right = b.tensor();
      Tensor product = c.tensor();
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
