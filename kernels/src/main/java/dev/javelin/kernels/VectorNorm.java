package dev.javelin.kernels;

/** The norms of a gradient seen as one long vector. */
public enum VectorNorm {
  /** {@code Σ |x|}. */
  L1,
  /** {@code √Σ x²}. */
  L2,
  /** {@code max |x|}. */
  MAX
}
