package dev.javelin.tensor.step;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Enabled;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/**
 * An operator, in Java Flight Recorder. Whoever records these gets true durations: a GPU is waited
 * for after each, and its steps go kernel by kernel ({@link StepGraph}). They are off unless asked
 * for with {@code javelin.Op#enabled=true}, and cost a branch then.
 */
@Name("javelin.Op")
@Label("Operator")
@Category("Javelin")
@Description("An operator of a pass forward or backward, from the end of the one before it")
@Enabled(false)
@StackTrace(false)
public final class OpEvent extends Event {
  @Label("Name")
  private String name = "";

  @Label("Pass")
  private String pass = "";

  private OpEvent() {}

  /** Whether somebody records them. */
  public static boolean isOn() {
    return new OpEvent().isEnabled();
  }

  /** One that begins now. */
  public static OpEvent begun() {
    OpEvent event = new OpEvent();
    event.begin();
    return event;
  }

  /**
   * Ends it. The device has done its work.
   *
   * @param operator its name on the tape
   * @param direction {@code forward} or {@code backward}
   */
  public void done(String operator, String direction) {
    name = operator;
    pass = direction;
    commit();
  }
}
