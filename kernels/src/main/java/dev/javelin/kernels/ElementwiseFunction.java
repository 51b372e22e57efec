package dev.javelin.kernels;

/** A function of one to three elements; kernels know it by its ordinal. */
public enum ElementwiseFunction {
  COPY,
  ADD,
  SUB,
  MUL,
  DIV,
  /** {@code a·b/c} */
  MUL_DIV,
  EXP,
  LOG,
  SQRT
}
