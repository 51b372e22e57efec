package dev.javelin.kernels;

/** The elementwise nonlinearities. */
public enum Activation {
  /** {@code x · Φ(x)} with the normal distribution Φ, by erf. */
  GELU,
  /** {@code x / (1 + e^−2u)} with {@code u = √(2/π) · (x + 0.044715·x³)}, GPT-2's form of GELU. */
  GELU_TANH,
  /** {@code x / (1 + e^−x)}. */
  SILU,
  /** {@code max(x, 0)}. */
  RELU,
  /** {@code max(x, 0)²}. */
  RELU_SQUARED,
  /** {@code 1 / (1 + e^−x)}. */
  SIGMOID,
  TANH,
  /** {@code ln(1 + e^x)}. */
  SOFTPLUS
}
