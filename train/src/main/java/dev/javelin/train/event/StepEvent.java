package dev.javelin.train.event;

import jdk.jfr.Category;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** An optimizer step, its batches and hooks included. On a GPU it ends when the work is queued. */
@Name("javelin.Step")
@Label("Step")
@Category("Javelin")
@StackTrace(false)
public final class StepEvent extends Event {
  @Label("Step")
  private long step;

  @Label("Target Tokens")
  private long targets;

  @Label("Learning Rate")
  private double learningRate;

  @Label("Loss")
  private double loss;

  /** One that begins now. */
  public static StepEvent begun() {
    StepEvent event = new StepEvent();
    event.begin();
    return event;
  }

  /**
   * Ends it.
   *
   * @param number of the step, from 1 on
   * @param targetTokens that it has learned
   * @param mean loss, NaN where the host did not look at it
   */
  public void done(long number, long targetTokens, double rate, double mean) {
    step = number;
    targets = targetTokens;
    learningRate = rate;
    loss = mean;
    commit();
  }
}
