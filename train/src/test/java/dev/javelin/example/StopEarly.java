package dev.javelin.example;

import dev.javelin.train.Trainer;
import dev.javelin.train.eval.Evaluation;
import dev.javelin.train.monitor.Watcher;

/** Ends a run when the validation loss has not fallen for some evaluations. */
final class StopEarly implements Watcher {
  private final Trainer trainer;
  private final int patience;
  private double best = Double.POSITIVE_INFINITY;
  private int worse;

  StopEarly(Trainer trainer, int patience) {
    this.trainer = trainer;
    this.patience = patience;
  }

  @Override
  public void evaluated(long step, Evaluation evaluation) {
    worse = evaluation.loss() < best ? 0 : worse + 1;
    best = Math.min(best, evaluation.loss());
    if (worse == patience) {
      trainer.requestStop();
    }
  }
}
