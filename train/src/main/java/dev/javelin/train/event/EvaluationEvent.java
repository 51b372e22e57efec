package dev.javelin.train.event;

import jdk.jfr.Category;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** An evaluation on held-out data. */
@Name("javelin.Evaluation")
@Label("Evaluation")
@Category("Javelin")
@StackTrace(false)
public final class EvaluationEvent extends Event {
  @Label("Step")
  private long step;

  @Label("Loss")
  private double loss;

  @Label("Tokens")
  private long tokens;

  /** One that begins now. */
  public static EvaluationEvent begun() {
    EvaluationEvent event = new EvaluationEvent();
    event.begin();
    return event;
  }

  /**
   * Ends it.
   *
   * @param after steps done
   */
  public void done(long after, double mean, long targetTokens) {
    step = after;
    loss = mean;
    tokens = targetTokens;
    commit();
  }
}
