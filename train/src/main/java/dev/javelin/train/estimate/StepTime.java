package dev.javelin.train.estimate;

import java.util.Locale;

/**
 * How long a step will take.
 *
 * @param seconds of a step
 * @param tokens that it reads
 * @param tried seconds that it took to find out
 */
public record StepTime(double seconds, long tokens, double tried) {

  /** In words: {@code 0.412 s, 2,486 tokens/s}. */
  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "%s, %,.0f tokens/s (this machine was tried for %.1f s)",
        seconds < 1
            ? String.format(Locale.ROOT, "%.1f ms", 1e3 * seconds)
            : String.format(Locale.ROOT, "%.2f s", seconds),
        tokens / seconds,
        tried);
  }
}
