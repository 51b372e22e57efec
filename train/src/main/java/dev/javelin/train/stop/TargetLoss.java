package dev.javelin.train.stop;

import dev.javelin.train.eval.Evaluation;
import dev.javelin.train.hook.Progress;
import dev.javelin.train.hook.StopRule;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Ends a run whose loss is no larger than {@code target}: the validation loss, or where that is not
 * measured the mean of the last {@value #SMOOTHED} training losses of every {@code every}-th step.
 */
public final class TargetLoss implements StopRule {
  /** Training losses in the mean. */
  public static final int SMOOTHED = 10;

  private final double target;
  private final int every;
  private final boolean validation;
  private final Deque<Double> last = new ArrayDeque<>();

  /**
   * @param every steps between training losses, which a GPU does not tell after each step
   * @param validation whether the run measures it
   */
  public TargetLoss(double target, int every, boolean validation) {
    this.target = target;
    this.every = every;
    this.validation = validation;
  }

  @Override
  public @Nullable String reason(Progress now) {
    Evaluation evaluation = now.evaluation();
    if (validation && evaluation != null) {
      see(evaluation.loss(), 1);
    } else if (!validation && now.step() % every == 0 && !Double.isNaN(now.loss())) {
      see(now.loss(), SMOOTHED);
    }
    if (last.size() < (validation ? 1 : SMOOTHED)) {
      return null;
    }
    double loss = last.stream().mapToDouble(Double::doubleValue).average().orElse(Double.NaN);
    return loss <= target
        ? String.format(
            Locale.ROOT,
            "the %s loss is %.4f (--target-loss %s)",
            validation ? "validation" : "training",
            loss,
            target)
        : null;
  }

  private void see(double loss, int most) {
    last.addLast(loss);
    while (last.size() > most) {
      last.removeFirst();
    }
  }

  @Override
  public String name() {
    return "target_loss";
  }

  @Override
  public Map<String, double[]> save() {
    return Map.of("losses", last.stream().mapToDouble(Double::doubleValue).toArray());
  }

  @Override
  public void restore(Map<String, double[]> saved) {
    last.clear();
    Arrays.stream(saved.getOrDefault("losses", new double[0])).forEach(loss -> see(loss, SMOOTHED));
  }
}
