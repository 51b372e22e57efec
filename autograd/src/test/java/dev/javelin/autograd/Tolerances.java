package dev.javelin.autograd;

import dev.javelin.device.DType;

/**
 * What max|got − want| / max|want| may be for a single operator, from the README of the golden
 * files.
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
}
