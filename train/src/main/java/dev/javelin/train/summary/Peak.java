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

/** What this machine's arithmetic and memory can do, found by doing it. */
public final class Peak {
  private static final int CPU_SIZE = 1024;
  private static final int GPU_SIZE = 8192;
  private static final int SMALLEST = 64;
  private static final int ROW = 1024; // numbers of a row that is copied
  private static final int CPU_ROWS = 1 << 14;
  private static final int GPU_ROWS = 1 << 18;
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

  /**
   * Bytes a second that a copy moves, each read and each written one counted: the fastest of
   * several copies, of 64 MiB on a CPU and 1 GiB on a GPU, which is more than a cache holds.
   *
   * @param workspace gives the memory
   * @return {@code null} on the emulated device
   */
  public static @Nullable Double bandwidth(Workspace workspace) {
    Device device = workspace.device();
    if (device instanceof Cuda cuda && cuda.properties().emulated()) {
      return null;
    }
    int rows = device instanceof Cuda ? GPU_ROWS : CPU_ROWS;
    Shape shape = Shape.of(rows, ROW);
    double bytes = DType.F32.bytes(shape.elements());
    try (Workspace.Scratch a = workspace.scratch(DType.F32, shape);
        Workspace.Scratch b = workspace.scratch(DType.F32, shape)) {
      return 2 * bytes / shortest(device, () -> Elementwise.copy(b.tensor(), a.tensor()));
    }
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
      return shortest(device, () -> Matmul.forward(product, left, right));
    }
  }

  /** The shortest of many times, in seconds. */
  private static double shortest(Device device, Runnable work) {
    long best = Long.MAX_VALUE;
    long begun = System.nanoTime();
    for (int i = 0; i < MOST && (i < 3 || System.nanoTime() - begun < NANOS); i++) {
      long from = System.nanoTime();
      work.run();
      device.synchronize();
      best = Math.min(best, System.nanoTime() - from);
    }
    return best * 1e-9;
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
