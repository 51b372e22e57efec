package dev.javelin.train.event;

import jdk.jfr.Category;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** A part of a step. On a GPU it ends when the work is queued, unless operators are recorded. */
@Name("javelin.Phase")
@Label("Phase of a Step")
@Category("Javelin")
@StackTrace(false)
public final class PhaseEvent extends Event {
  @Label("Name")
  private String name = "";

  /** One that begins now. */
  public static PhaseEvent begun() {
    PhaseEvent event = new PhaseEvent();
    event.begin();
    return event;
  }

  /** Ends it. */
  public void done(String phase) {
    name = phase;
    commit();
  }
}
