package dev.javelin.train.event;

import jdk.jfr.Category;
import jdk.jfr.Event;
import jdk.jfr.FlightRecorder;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import org.jspecify.annotations.Nullable;

/** An optimizer step, its batches and hooks included. On a GPU it ends when the work is queued. */
public final class StepEvent {
  private static final StepEvent NONE = new StepEvent(null);

  @Name("javelin.Step")
  @Label("Step")
  @Category("Javelin")
  @StackTrace(false)
  static final class Recorded extends Event {
    @Label("Step")
    long step;

    @Label("Target Tokens")
    long targets;

    @Label("Learning Rate")
    double learningRate;

    @Label("Loss")
    double loss;
  }

  private final @Nullable Recorded event;

  private StepEvent(@Nullable Recorded event) {
    this.event = event;
  }

  /** One that begins now. */
  public static StepEvent begun() {
    if (!FlightRecorder.isInitialized()) {
      return NONE;
    }
    Recorded event = new Recorded();
    event.begin();
    return new StepEvent(event);
  }

  /**
   * Ends it.
   *
   * @param number of the step, from 1 on
   * @param targetTokens that it has learned
   * @param mean loss, NaN where the host did not look at it
   */
  public void done(long number, long targetTokens, double rate, double mean) {
    if (event != null) {
      event.step = number;
      event.targets = targetTokens;
      event.learningRate = rate;
      event.loss = mean;
      event.commit();
    }
  }
}
