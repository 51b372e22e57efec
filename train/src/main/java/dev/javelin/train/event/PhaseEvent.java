package dev.javelin.train.event;

import jdk.jfr.Category;
import jdk.jfr.Event;
import jdk.jfr.FlightRecorder;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import org.jspecify.annotations.Nullable;

/**
 * A part of a step. On a GPU it ends when the work is queued, unless operators are recorded.
 *
 * <p>The event itself is another class, as in {@link StepEvent}: its initialisation starts Flight
 * Recorder, a tenth of a second of processor time, so it waits until somebody records.
 */
public final class PhaseEvent {
  private static final PhaseEvent NONE = new PhaseEvent(null);

  @Name("javelin.Phase")
  @Label("Phase of a Step")
  @Category("Javelin")
  @StackTrace(false)
  static final class Recorded extends Event {
    @Label("Name")
    String name = "";
  }

  private final @Nullable Recorded event;

  private PhaseEvent(@Nullable Recorded event) {
    this.event = event;
  }

  /** One that begins now. */
  public static PhaseEvent begun() {
    if (!FlightRecorder.isInitialized()) {
      return NONE;
    }
    Recorded event = new Recorded();
    event.begin();
    return new PhaseEvent(event);
  }

  /** Ends it. */
  public void done(String phase) {
    if (event != null) {
      event.name = phase;
      event.commit();
    }
  }
}
