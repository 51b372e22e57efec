package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.DType;
import dev.javelin.device.Launch;

/** {@code flat_sample.cu}: statistics of some elements of each part of a flat buffer. */
public final class FlatSampleCuda {
  private FlatSampleCuda() {}

  /**
   * Which elements.
   *
   * @param ends I64 [P]
   * @param firsts I64 [P + 1]
   * @param starts I64 [R]
   */
  public record Table(int parts, Addressable ends, Addressable firsts, Addressable starts) {
    private Launch over(CudaKernel kernel, Addressable... before) {
      Launch launch = kernel.grid(parts);
      for (Addressable a : before) {
        launch.ptr(a);
      }
      return launch.ptr(ends).ptr(firsts).ptr(starts);
    }
  }

  /** To F32 [16·R]. */
  public static void copy(Cuda cuda, Table table, Addressable to, Addressable x, DType type) {
    table.over(cuda.kernel("flat_sample_copy", type), to, x).run();
  }

  /** To F32 [P, 2]. */
  public static void change(
      Cuda cuda, Table table, Addressable to, Addressable before, Addressable x, DType type) {
    table.over(cuda.kernel("flat_sample_change", type), to, before, x).run();
  }

  /** To I32 [P, bins]. */
  public static void ratios(
      Cuda cuda, Table table, Addressable counts, Addressable m, Addressable v) {
    table.over(cuda.kernel("flat_sample_ratios"), counts, m, v).run();
  }

  /** To I32 [P, 3]. */
  public static void underflow(
      Cuda cuda, Table table, Addressable counts, Addressable x, int vanishes, int normal) {
    table.over(cuda.kernel("flat_sample_underflow"), counts, x).i32(vanishes).i32(normal).run();
  }
}
