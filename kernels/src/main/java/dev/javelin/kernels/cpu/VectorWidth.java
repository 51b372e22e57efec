package dev.javelin.kernels.cpu;

/** The width of the vectors that the kernels use on this machine. */
public final class VectorWidth {
  private VectorWidth() {}

  /** 128, 256 or 512. */
  public static int bits() {
    return Lanes.SPECIES.vectorBitSize();
  }
}
