package dev.javelin.train.guard;

/**
 * A factor that drops to {@code low} and comes back to 1 in {@code steps} steps, by the same ratio
 * each: {@code f(k) = low^(1 − k/steps)}.
 */
final class Recovery {
  private final double low;
  private final int steps;
  private int done;

  Recovery(double low, int steps) {
    this.low = low;
    this.steps = steps;
    this.done = steps;
  }

  boolean isOver() {
    return done >= steps;
  }

  double factor() {
    return isOver() ? 1 : Math.exp(Math.log(low) * (1 - (double) done / steps));
  }

  void drop() {
    done = 0;
  }

  void end() {
    done = steps;
  }

  void step() {
    done = Math.min(steps, done + 1);
  }

  int done() {
    return done;
  }

  void restore(int stepsDone) {
    done = Math.min(steps, stepsDone);
  }
}
