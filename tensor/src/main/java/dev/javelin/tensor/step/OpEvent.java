package dev.javelin.tensor.step;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Enabled;
import jdk.jfr.Event;
import jdk.jfr.FlightRecorder;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/**
 * An operator, in Java Flight Recorder. Whoever records these gets true durations: a GPU is waited
 * for after each, and its steps go kernel by kernel ({@link StepGraph}). They are off unless asked
 * for with {@code javelin.Op#enabled=true}, and cost a branch then.
 *
 * <p>The event itself is another class: its initialisation starts Flight Recorder, a tenth of a
 * second of processor time, so it waits until somebody records.
 */
public final class OpEvent {
  @Name("javelin.Op")
  @Label("Operator")
  @Category("Javelin")
  @Description("An operator of a pass forward or backward, from the end of the one before it")
  @Enabled(false)
  @StackTrace(false)
  static final class Recorded extends Event {
    @Label("Name")
    String name = "";

    @Label("Pass")
    String pass = "";
  }

  private final Recorded event = new Recorded();

  private OpEvent() {}

  /** Whether somebody records them. */
  public static boolean isOn() {
    return FlightRecorder.isInitialized() && new Recorded().isEnabled();
  }

  /** One that begins now. */
  public static OpEvent begun() {
    OpEvent op = new OpEvent();
    op.event.begin();
    return op;
  }

  /**
   * Ends it. The device has done its work.
   *
   * @param operator its name on the tape
   * @param direction {@code forward} or {@code backward}
   */
  public void done(String operator, String direction) {
    event.name = operator;
    event.pass = direction;
    event.commit();
  }
}
