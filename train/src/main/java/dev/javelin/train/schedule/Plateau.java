package dev.javelin.train.schedule;

import dev.javelin.train.hook.Stateful;
import java.util.Map;

/**
 * {@code max} after the warm-up, times {@code factor} whenever the validation loss has not become
 * better for more than {@code patience} evaluations, never below {@code min}. Better is a loss
 * below {@code best·(1 − threshold)}. After a reduction {@code cooldown} evaluations count for
 * nothing but the best. Evaluations during the warm-up are passed over.
 *
 * <p>The rules are those of PyTorch's {@code ReduceLROnPlateau} with {@code mode="min"} and {@code
 * threshold_mode="rel"}, its {@code eps} of 1e-8 included: a smaller change is left undone.
 *
 * @see <a
 *     href="https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html">ReduceLROnPlateau</a>
 */
public final class Plateau implements LearningRate, Stateful {
  private static final double SMALLEST_CHANGE = 1e-8;

  private final double max;
  private final double min;
  private final int warmup;
  private final double factor;
  private final int patience;
  private final double threshold;
  private final int cooldown;

  private double rate;
  private double best = Double.POSITIVE_INFINITY;
  private int bad; // evaluations without a better loss
  private int cooling; // evaluations of the cooldown that are left

  public Plateau(
      double max,
      double min,
      int warmup,
      double factor,
      int patience,
      double threshold,
      int cooldown) {
    Warmup.check(max, warmup);
    Warmup.checkTotal(max, min, warmup, warmup + 1);
    if (!(factor > 0 && factor < 1)) {
      throw new IllegalArgumentException("factor must lie between 0 and 1, got " + factor);
    }
    if (patience < 0 || cooldown < 0) {
      throw new IllegalArgumentException(
          "patience and cooldown must be 0 or more, got " + patience + ", " + cooldown);
    }
    if (!(threshold >= 0 && threshold < 1)) {
      throw new IllegalArgumentException("threshold must lie between 0 and 1, got " + threshold);
    }
    this.max = max;
    this.min = min;
    this.warmup = warmup;
    this.factor = factor;
    this.patience = patience;
    this.threshold = threshold;
    this.cooldown = cooldown;
    this.rate = max;
  }

  @Override
  public double at(long step) {
    return step < warmup ? Warmup.at(step, max, warmup) : rate;
  }

  @Override
  public void evaluated(long step, double loss) {
    if (step < warmup) {
      return;
    }
    if (loss < best * (1 - threshold)) {
      best = loss;
      bad = 0;
    } else {
      bad++;
    }
    if (cooling > 0) {
      cooling--;
      bad = 0;
    }
    if (bad > patience) {
      double lower = Math.max(rate * factor, min);
      rate = rate - lower > SMALLEST_CHANGE ? lower : rate;
      cooling = cooldown;
      bad = 0;
    }
  }

  @Override
  public String name() {
    return "plateau";
  }

  @Override
  public Map<String, double[]> save() {
    return Map.of("state", new double[] {rate, max, best, bad, cooling});
  }

  /** A run that is resumed with another largest rate keeps the reductions. */
  @Override
  public void restore(Map<String, double[]> saved) {
    double[] state = saved.get("state");
    if (state != null && state.length == 5) {
      rate = state[1] == max ? state[0] : Math.max(max * (state[0] / state[1]), min);
      best = state[2];
      bad = (int) state[3];
      cooling = (int) state[4];
    }
  }
}
