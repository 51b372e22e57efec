package dev.javelin.train.event;

import java.nio.file.Path;
import jdk.jfr.Category;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** A checkpoint is taken: as long as the steps wait for it. */
@Name("javelin.Checkpoint")
@Label("Checkpoint")
@Category("Javelin")
@StackTrace(false)
public final class CheckpointEvent extends Event {
  @Label("Step")
  private long step;

  @Label("Directory")
  private String directory = "";

  @Label("Written Meanwhile")
  private boolean meanwhile;

  /** One that begins now. */
  public static CheckpointEvent begun() {
    CheckpointEvent event = new CheckpointEvent();
    event.begin();
    return event;
  }

  /**
   * Ends it.
   *
   * @param after steps done
   * @param run the run's directory
   * @param later whether the files are written while the run goes on
   */
  public void done(long after, Path run, boolean later) {
    step = after;
    directory = run.toString();
    meanwhile = later;
    commit();
  }
}
