package dev.javelin.train;

/** Training came to numbers that are none; the weights are those of the last good step. */
public final class DivergedException extends RuntimeException {
  private static final long serialVersionUID = 1;

  DivergedException(String message) {
    super(message);
  }
}
