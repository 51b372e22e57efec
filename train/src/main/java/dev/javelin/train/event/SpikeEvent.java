package dev.javelin.train.event;

import jdk.jfr.Category;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** Something of a step was far from the usual. */
@Name("javelin.Spike")
@Label("Spike")
@Category("Javelin")
@StackTrace(false)
public final class SpikeEvent extends Event {
  @Label("Step")
  private final long step;

  @Label("What")
  private final String what;

  @Label("Value")
  private final double value;

  @Label("Score")
  private final double score;

  @Label("Action")
  private final String action;

  private SpikeEvent(long step, String what, double value, double score, String action) {
    this.step = step;
    this.what = what;
    this.value = value;
    this.score = score;
    this.action = action;
  }

  /**
   * Records one.
   *
   * @param step its number, from 1 on
   * @param what {@code loss} or {@code grad_norm}
   * @param score how many robust standard deviations it is away
   * @param action what is done about it
   */
  public static void tell(long step, String what, double value, double score, String action) {
    new SpikeEvent(step, what, value, score, action).commit();
  }
}
