package dev.javelin.kernels;

/**
 * Where Adam's ε stands, m and v being the corrected moments; kernels know it by its ordinal. Where
 * it is inside it is compared with squares, so that 1e-16 is what 1e-8 is outside.
 */
public enum EpsilonPlacement {
  /** {@code m / (√v + ε)}, as Kingma and Ba have it in their algorithm, and PyTorch. */
  OUTSIDE,

  /** {@code m / √(v + ε)}. */
  INSIDE,

  /** {@code m / (√v + ε)} where {@code v > 0}, else 0: ε may be 0. */
  ZERO_SAFE
}
