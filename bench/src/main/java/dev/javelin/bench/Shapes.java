package dev.javelin.bench;

/**
 * Rows and columns that benchmarks have in common: the activations of one step of the models 128,
 * 384 and 768 wide, as in {@code bench/cpu/compare.sh}.
 */
final class Shapes {
  /** 12 sequences of 64 tokens. */
  static final String NARROW = "768x128";

  /** 16 sequences of 256 tokens. */
  static final String MIDDLE = "4096x384";

  /** 2 sequences of 1024 tokens. */
  static final String WIDE = "2048x768";

  private Shapes() {}
}
