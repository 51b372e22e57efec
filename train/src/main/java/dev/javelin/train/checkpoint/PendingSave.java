package dev.javelin.train.checkpoint;

import dev.javelin.tensor.io.FileCalls;
import dev.javelin.tensor.io.LaterCalls;

/**
 * A checkpoint that memory has taken up and the disk has not: see {@link Checkpoints#begin}. One
 * thread writes it, any; until it has, nothing else may save into the directory.
 */
public final class PendingSave {
  private final Checkpoints checkpoints;
  private final TrainingState state;
  private final LaterCalls files;
  private final FileCalls calls = FileCalls.current();

  PendingSave(Checkpoints checkpoints, TrainingState state, LaterCalls files) {
    this.checkpoints = checkpoints;
    this.state = state;
    this.files = files;
  }

  public long step() {
    return state.step();
  }

  /** Bytes of memory that it takes outside the heap, until it is written. */
  public long bytes() {
    return files.bytes();
  }

  /**
   * Does the rest of {@link Checkpoints#save}, by the file calls of the thread that began, and
   * frees the memory.
   *
   * @throws SaveException where the disk is full or cannot be written; what was there is untouched
   */
  public Checkpoint write() {
    try (files) {
      return ScopedValue.where(FileCalls.SCOPE, calls).call(() -> checkpoints.write(state, files));
    }
  }
}
