package dev.javelin.train.checkpoint;

import dev.javelin.tensor.io.FileFormatException;
import java.nio.file.Path;

/** A whole checkpoint on the disk. */
public record Checkpoint(Path directory, TrainingState state) {

  public long step() {
    return state.step();
  }

  /**
   * This checkpoint as a run goes on from it: where that is measured on other validation data, the
   * best loss so far says nothing.
   */
  public Checkpoint goingOnAs(RunIdentity now) {
    RunIdentity before = state.identity();
    return before == null || !now.hasOtherValidation(before)
        ? this
        : new Checkpoint(directory, state.withoutBest());
  }

  /**
   * Opens a checkpoint's directory and reads all its files once, to compare them with what was
   * written. Checkpoints of format 1 recorded lengths only.
   *
   * @throws FileFormatException where its state cannot be read, or belongs under another name
   * @throws IncompleteCheckpointException where a file is missing or not as it was written
   */
  public static Checkpoint open(Path directory) {
    return open(directory, true);
  }

  /** The same by the lengths of the files alone, for what need not be certain. */
  static Checkpoint peek(Path directory) {
    return open(directory, false);
  }

  private static Checkpoint open(Path directory, boolean bytes) {
    TrainingState.manifest(directory).check(directory, bytes);
    TrainingState state = TrainingState.read(directory);
    long named = Checkpoints.step(directory);
    if (named >= 0 && named != state.step()) {
      throw new FileFormatException(
          directory.resolve(TrainingState.FILE),
          "is the state of step " + state.step(),
          "give the directory its name again, checkpoint-" + state.step());
    }
    return new Checkpoint(directory, state);
  }
}
