package dev.javelin.train.stop;

import dev.javelin.train.eval.Evaluation;
import dev.javelin.train.hook.Progress;
import dev.javelin.train.hook.StopRule;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Ends a run whose validation loss has not come below {@code best − minDelta} for {@code patience}
 * evaluations in a row (Prechelt 1998).
 */
public final class EarlyStopping implements StopRule {
  private final int patience;
  private final double minDelta;
  private double best = Double.POSITIVE_INFINITY;
  private long bestStep;
  private int since; // evaluations

  public EarlyStopping(int patience, double minDelta) {
    this.patience = patience;
    this.minDelta = minDelta;
  }

  @Override
  public @Nullable String reason(Progress now) {
    Evaluation evaluation = now.evaluation();
    if (evaluation != null) {
      if (evaluation.loss() < best - minDelta) {
        best = evaluation.loss();
        bestStep = now.step();
        since = 0;
      } else {
        since++;
      }
    }
    return since < patience
        ? null
        : String.format(
            Locale.ROOT,
            "the validation loss has not improved for %d evaluations: best %.4f at step %d (--early-stopping-patience)",
            since,
            best,
            bestStep);
  }

  @Override
  public String name() {
    return "early_stopping";
  }

  @Override
  public Map<String, double[]> save() {
    return Map.of("state", new double[] {best, bestStep, since});
  }

  @Override
  public void restore(Map<String, double[]> saved) {
    double[] state = saved.get("state");
    if (state != null && state.length == 3) {
      best = state[0];
      bestStep = (long) state[1];
      since = (int) state[2];
    }
  }
}
