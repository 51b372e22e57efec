package dev.javelin.train.summary;

import dev.javelin.train.eval.Evaluation;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.monitor.Watcher;
import org.jspecify.annotations.Nullable;

/** Follows a run and keeps account of its time: steps, evaluations, and all else. */
public final class RunClock implements Watcher {
  private static final long ENERGY_EVERY = 60_000_000_000L;

  private final Energy energy;
  private long begun;
  private long firstStep = -1;
  private long lastEvent;
  private long energyAsked;
  private long stepNanos;
  private long evaluationNanos;
  private long endNanos;
  private long lastStep;
  private long rows;
  private long tokens; // targets seen, as the log counts
  private double loss = Double.NaN;
  private @Nullable Double bestLoss;
  private long bestStep;

  public RunClock() {
    this(Energy.begin());
  }

  RunClock(Energy energy) {
    this.energy = energy;
  }

  @Override
  public void begins(long step, long place, int count) {
    long now = System.nanoTime();
    if (firstStep < 0) {
      firstStep = step;
      begun = now;
      energyAsked = now;
    }
    lastEvent = now;
    rows += count;
  }

  @Override
  public void advanced(long step) {
    long now = System.nanoTime();
    stepNanos += now - lastEvent;
    lastEvent = now;
    lastStep = step;
    if (now - energyAsked > ENERGY_EVERY) {
      energyAsked = now;
      energy.joules(); // before the counter can go round twice
    }
  }

  @Override
  public void evaluated(long step, Evaluation evaluation) {
    long now = System.nanoTime();
    evaluationNanos += now - lastEvent;
    lastEvent = now;
    if (Double.isFinite(evaluation.loss()) && (bestLoss == null || evaluation.loss() < bestLoss)) {
      bestLoss = evaluation.loss();
      bestStep = step;
    }
  }

  @Override
  public void logged(StepMetrics metrics) {
    loss = metrics.loss();
    tokens = metrics.tokens();
  }

  @Override
  public void ended() {
    endNanos = System.nanoTime();
  }

  /**
   * What came of the run.
   *
   * @param tokensPerRow that a row has
   * @param flopsPerToken {@code null} where it is not known
   * @param peak operations a second that the machine can do; {@code null} where not measured
   */
  public RunSummary summary(
      long tokensPerRow, @Nullable Double flopsPerToken, @Nullable Double peak) {
    double seconds = firstStep < 0 ? 0 : (endNanos - begun) * 1e-9;
    return new RunSummary(
        firstStep < 0 ? lastStep : firstStep - 1,
        lastStep,
        rows * tokensPerRow,
        tokens,
        seconds,
        stepNanos * 1e-9,
        evaluationNanos * 1e-9,
        flopsPerToken == null ? null : flopsPerToken * rows * tokensPerRow,
        peak,
        loss,
        bestLoss,
        bestStep,
        firstStep < 0 ? null : energy.joules());
  }
}
