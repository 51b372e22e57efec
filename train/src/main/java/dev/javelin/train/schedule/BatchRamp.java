package dev.javelin.train.schedule;

/**
 * A batch that grows: {@code from} micro-batches in the first step, {@code increment} more at a
 * time, and all of them from step {@code steps} on. With A micro-batches in the end and {@code n =
 * ⌈(A − from)/increment⌉}, step s has {@code min(A, from + increment·⌊s·n/steps⌋)}.
 *
 * @see <a href="https://arxiv.org/abs/2005.14165">GPT-3, section 2.3 and appendix B</a>
 */
public record BatchRamp(int from, int increment, int steps) {
  public BatchRamp {
    if (from < 1 || increment < 1 || steps < 1) {
      throw new IllegalArgumentException(
          "a batch ramp must have numbers of 1 or more, got %d:%d:%d"
              .formatted(from, increment, steps));
    }
  }

  /**
   * Micro-batches of a step.
   *
   * @param step counts from 0
   * @param all micro-batches in the end
   */
  public int at(long step, int all) {
    if (step >= steps || from >= all) {
      return all;
    }
    long increments = Math.ceilDiv(all - from, increment);
    return (int) Math.min(all, from + increment * (step * increments / steps));
  }

  @Override
  public String toString() {
    return from + ":" + increment + ":" + steps;
  }
}
