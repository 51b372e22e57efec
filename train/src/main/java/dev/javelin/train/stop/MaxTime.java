package dev.javelin.train.stop;

import dev.javelin.train.hook.Progress;
import dev.javelin.train.hook.StopRule;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Ends a run that has taken its time: that of all processes that worked on it, evaluations and
 * checkpoints included. What a process did after its last checkpoint is lost and not counted.
 */
public final class MaxTime implements StopRule {
  private final double most;
  private final String shown;
  private double before; // seconds of earlier processes and runs
  private double here; // of this one

  /**
   * @param seconds in all
   * @param shown the same as the user gave it
   */
  public MaxTime(double seconds, String shown) {
    this.most = seconds;
    this.shown = shown;
  }

  @Override
  public @Nullable String reason(Progress progress) {
    before += progress.seconds() < here ? here : 0; // the trainer runs again
    here = progress.seconds();
    return before + here < most ? null : "the run has taken its " + shown + " (--max-time)";
  }

  @Override
  public String name() {
    return "max_time";
  }

  @Override
  public Map<String, double[]> save() {
    return Map.of("seconds", new double[] {before + here});
  }

  @Override
  public void restore(Map<String, double[]> saved) {
    double[] seconds = saved.get("seconds");
    if (seconds != null && seconds.length == 1) {
      before = seconds[0];
      here = 0;
    }
  }
}
