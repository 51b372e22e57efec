package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;

/** {@code dropout.cu}. */
public final class DropoutCuda {
  static final int WORDS = 4; // of a block of random numbers
  private static final int VECTOR_BYTES = 16;

  private DropoutCuda() {}

  /**
   * {@code y (+)= scale · x} where the element's random word reaches the threshold, otherwise 0;
   * both contiguous.
   *
   * @param sequences that have {@code elements} each
   * @param state holds seed, step and first sequence
   */
  public static void apply(
      Cuda cuda,
      Addressable y,
      boolean accumulate,
      Addressable x,
      DType type,
      int sequences,
      long elements,
      int threshold,
      float scale,
      int site,
      Addressable state) {
    boolean vectors =
        type.bytes(elements) % VECTOR_BYTES == 0
            && x.address() % VECTOR_BYTES == 0
            && y.address() % VECTOR_BYTES == 0;
    long unit = vectors ? VECTOR_BYTES / type.bytes(1) : WORDS;
    long units = Math.ceilDiv(elements, unit);
    cuda.kernel("dropout", type)
        .threads(sequences * units)
        .ptr(y)
        .i32(CudaRows.flag(accumulate))
        .ptr(x)
        .ptr(state)
        .i32(site)
        .i32(threshold)
        .f32(scale)
        .i64(sequences * units)
        .i64(units)
        .i64(elements)
        .i32(CudaRows.flag(vectors))
        .run();
  }
}
