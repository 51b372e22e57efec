package dev.javelin.autograd;

import dev.javelin.device.DType;

/**
 * How far a single operator may be from the truth. The largest error, max|got − want| / max|want|,
 * has the bounds of the golden files' README; the root of the mean square, ‖got − want‖ / ‖want‖,
 * where one bad element does not count and a bias does, has a derived one. It is for outputs:
 * gradients of norms cancel, and are held to central differences.
 */
public final class Tolerances {
  private Tolerances() {}

  public static double output(DType t) {
    return switch (t) {
      case F32 -> 1e-5;
      case BF16 -> 1e-2;
      case F16 -> 2e-3;
      case I32, I64, U8 -> 0;
    };
  }

  public static double gradient(DType t) {
    return switch (t) {
      case F32 -> 5e-5;
      case BF16 -> 2e-2;
      case F16 -> 5e-3;
      case I32, I64, U8 -> 0;
    };
  }

  /**
   * {@code 4·u + √n·2⁻²²}: results that are rounded to a type of unit roundoff u (2⁻²⁴, 2⁻⁹, 2⁻¹²),
   * after up to three roundings of what they are made from, and fp32 sums of n terms, whose n
   * independent roundings of 2⁻²⁴ grow as √n, with a factor of four for terms of unequal size.
   */
  public static double rms(DType t, long n) {
    double roundoff =
        switch (t) {
          case F32 -> 0x1p-24;
          case BF16 -> 0x1p-9;
          case F16 -> 0x1p-12;
          case I32, I64, U8 -> 0;
        };
    return 4 * roundoff + Math.sqrt(n) * 0x1p-22;
  }

  /** {@code ‖got − want‖ / ‖want‖}; of what is zero, as if its norm were 10⁻⁶. */
  public static double rms(double[] got, double[] want) {
    double error = 0;
    double power = 0;
    for (int i = 0; i < got.length; i++) {
      error += (got[i] - want[i]) * (got[i] - want[i]);
      power += want[i] * want[i];
    }
    return Math.sqrt(error) / Math.max(Math.sqrt(power), 1e-6);
  }
}
