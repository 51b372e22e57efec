package dev.javelin.bench;

import dev.javelin.device.Cuda;
import dev.javelin.device.CudaGraph;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.JCudaLaunch;
import dev.javelin.kernels.BundledKernels;
import java.util.Arrays;
import java.util.Locale;

/**
 * Host time of one launch, through FFM as {@link dev.javelin.device.Launch} does it and through
 * JCuda. The launches are recorded into a graph, not run, so that the kernel itself costs nothing;
 * medians over rounds in which the two take turns.
 *
 * <p>Its one argument is {@code emulator} (the default) or {@code cuda}.
 */
public final class LaunchCost {
  private static final int LAUNCHES = 2000;
  private static final int ROUNDS = 41;

  private LaunchCost() {}

  /** Medians in nanoseconds. */
  record Nanos(double ffm, double jcuda) {}

  public static void main(String[] args) {
    boolean gpu = args.length > 0 && args[0].equals("cuda");
    BundledKernels images = new BundledKernels();
    try (Cuda cuda = gpu ? Cuda.open(0, images) : Cuda.emulated(images)) {
      Nanos cost = measure(cuda);
      System.out.printf(
          Locale.ROOT,
          "%s: FFM %.0f ns, JCuda %.0f ns a launch (medians of %d rounds of %d)%n",
          cuda,
          cost.ffm,
          cost.jcuda,
          ROUNDS,
          LAUNCHES);
    }
  }

  static Nanos measure(Cuda cuda) {
    try (DeviceMemory y = cuda.allocate(256)) {
      CudaKernel kernel = cuda.kernel("fill", DType.F32);
      JCudaLaunch jcuda = new JCudaLaunch(kernel, cuda);
      double[] throughFfm = new double[ROUNDS];
      double[] throughJCuda = new double[ROUNDS];
      for (int round = 0; round < ROUNDS; round++) {
        throughFfm[round] = nanos(cuda, () -> kernel.grid(1).ptr(y).f32(0).i64(0).run());
        throughJCuda[round] = nanos(cuda, () -> jcuda.run(y, 0, 0));
      }
      return new Nanos(median(throughFfm), median(throughJCuda));
    }
  }

  private static double nanos(Cuda cuda, Runnable launch) {
    long[] spent = {0};
    CudaGraph.capture(
            cuda,
            () -> {
              long begin = System.nanoTime();
              for (int i = 0; i < LAUNCHES; i++) {
                launch.run();
              }
              spent[0] = System.nanoTime() - begin;
            })
        .close();
    return (double) spent[0] / LAUNCHES;
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
