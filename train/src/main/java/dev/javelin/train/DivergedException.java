package dev.javelin.train;

/**
 * Loss, gradient or weights are no longer finite numbers. The message names the step; what could be
 * saved is saved.
 */
public final class DivergedException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final long step;

  DivergedException(long step, String message) {
    super(message);
    this.step = step;
  }

  /** Steps done when it was found. */
  public long step() {
    return step;
  }
}
