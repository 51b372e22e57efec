package dev.javelin.train.schedule;

/**
 * The learning rate as a function of the step. Steps count from 0 and count attempts: a step
 * skipped for an overflow takes its place in the schedule all the same. Nothing is remembered
 * between steps, so a resumed run needs the step number only.
 *
 * <p>All warm up alike: {@code lr(s) = max·(s+1)/warmup} for {@code s < warmup}.
 */
public sealed interface Schedule extends LearningRate {

  /** {@code max} after the warm-up. */
  record Constant(double max, int warmup) implements Schedule {
    public Constant {
      Warmup.check(max, warmup);
    }

    @Override
    public double at(long step) {
      return step < warmup ? Warmup.at(step, max, warmup) : max;
    }
  }

  /**
   * {@code min + ½·(1 + cos(π·x))·(max − min)}, {@code x = min(1, (s − warmup)/(total − warmup))}.
   *
   * @see <a href="https://arxiv.org/abs/1608.03983">SGDR</a>
   */
  record Cosine(double max, double min, int warmup, int total) implements Schedule {
    public Cosine {
      Warmup.check(max, warmup);
      Warmup.checkTotal(max, min, warmup, total);
    }

    @Override
    public double at(long step) {
      return step < warmup
          ? Warmup.at(step, max, warmup)
          : min + Decay.COSINE.at(Warmup.progress(step, warmup, total)) * (max - min);
    }
  }

  /** A straight line from {@code max} at {@code s = warmup} to {@code min} at {@code s = total}. */
  record Linear(double max, double min, int warmup, int total) implements Schedule {
    public Linear {
      Warmup.check(max, warmup);
      Warmup.checkTotal(max, min, warmup, total);
    }

    @Override
    public double at(long step) {
      return step < warmup
          ? Warmup.at(step, max, warmup)
          : min + Decay.LINEAR.at(Warmup.progress(step, warmup, total)) * (max - min);
    }
  }

  /**
   * {@code min + (max − min)·(1 − x)^power}, {@code x = min(1, (s − warmup)/(total − warmup))}: a
   * straight line where {@code power} is 1.
   */
  record Polynomial(double max, double min, int warmup, int total, double power)
      implements Schedule {
    public Polynomial {
      Warmup.check(max, warmup);
      Warmup.checkTotal(max, min, warmup, total);
      if (!(power > 0) || Double.isInfinite(power)) {
        throw new IllegalArgumentException("power must be more than 0, and finite, got " + power);
      }
    }

    @Override
    public double at(long step) {
      return step < warmup
          ? Warmup.at(step, max, warmup)
          : min + (max - min) * StrictMath.pow(1 - Warmup.progress(step, warmup, total), power);
    }
  }

  /** {@code max·√(w/(s + 1))} with {@code w = max(1, warmup)}; needs no end. */
  record InverseSqrt(double max, int warmup) implements Schedule {
    public InverseSqrt {
      Warmup.check(max, warmup);
    }

    @Override
    public double at(long step) {
      return step < warmup
          ? Warmup.at(step, max, warmup)
          : max * Math.sqrt(Math.max(1, warmup) / (step + 1.0));
    }
  }

  /**
   * Warm-up, stable, decay: {@code max} until {@code total − decay}, then {@code min + (max −
   * min)·shape(x)}, {@code x = min(1, (s − (total − decay))/decay)}.
   *
   * @see <a href="https://arxiv.org/abs/2404.06395">MiniCPM</a>
   */
  record WarmupStableDecay(double max, double min, int warmup, int total, int decay, Decay shape)
      implements Schedule {
    public WarmupStableDecay {
      Warmup.check(max, warmup);
      Warmup.checkTotal(max, min, warmup, total);
      if (decay < 1 || decay > total - warmup) {
        throw new IllegalArgumentException(
            "decay must lie between 1 and total - warmup = " + (total - warmup) + ", got " + decay);
      }
    }

    @Override
    public double at(long step) {
      return step < warmup
          ? Warmup.at(step, max, warmup)
          : min + (max - min) * shape.at(Warmup.progress(step, total - decay, total));
    }
  }

  /** Cosine arches of {@code cycle} steps, each from {@code max} again. */
  record CosineRestarts(double max, double min, int warmup, int cycle) implements Schedule {
    public CosineRestarts {
      Warmup.check(max, warmup);
      if (cycle < 1) {
        throw new IllegalArgumentException("cycle must be at least 1, got " + cycle);
      }
    }

    @Override
    public double at(long step) {
      if (step < warmup) {
        return Warmup.at(step, max, warmup);
      }
      double x = (double) ((step - warmup) % cycle) / cycle;
      return min + Decay.COSINE.at(x) * (max - min);
    }
  }

  /**
   * {@code first} up to {@code restart}, then a straight line from {@code from} to {@code max} over
   * {@code warmup} steps, then a cosine to {@code min} at {@code total}: how a finished run goes on
   * with more data.
   *
   * @see <a href="https://arxiv.org/abs/2403.08763">Ibrahim et al. 2024</a>
   */
  record Rewarmup(
      Schedule first, int restart, double from, int warmup, double max, double min, int total)
      implements Schedule {
    public Rewarmup {
      Warmup.check(max, warmup);
      Warmup.checkTotal(max, min, restart + warmup, total);
      if (restart < 0 || !(from >= 0) || Double.isInfinite(from)) {
        throw new IllegalArgumentException(
            "restart and the rate it starts from must be 0 or more, got " + restart + ", " + from);
      }
    }

    /** From the last rate of {@code first}; from 0 where there is none. */
    public Rewarmup(Schedule first, int restart, int warmup, double max, double min, int total) {
      this(first, restart, restart < 1 ? 0 : first.at(restart - 1), warmup, max, min, total);
    }

    @Override
    public double at(long step) {
      if (step < restart) {
        return first.at(step);
      }
      if (step < restart + warmup) {
        return from + (max - from) * (step - restart + 1) / warmup;
      }
      double x = Warmup.progress(step, restart + warmup, total);
      return min + Decay.COSINE.at(x) * (max - min);
    }
  }
}
