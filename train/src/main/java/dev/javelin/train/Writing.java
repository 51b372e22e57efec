package dev.javelin.train;

import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.checkpoint.PendingSave;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/** A checkpoint that a thread of its own writes while the run goes on. */
final class Writing {
  private final FutureTask<Checkpoint> task;

  Writing(PendingSave pending) {
    task = new FutureTask<>(pending::write);
    Thread.ofPlatform().name("javelin-save").start(task);
  }

  boolean isDone() {
    return task.isDone();
  }

  /**
   * The checkpoint once it is on the disk; an interrupt does not end the wait, and is still there
   * afterwards.
   *
   * @throws dev.javelin.train.checkpoint.SaveException where it could not be written
   */
  Checkpoint await() {
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return task.get();
        } catch (InterruptedException e) {
          interrupted = true;
        } catch (ExecutionException e) {
          switch (e.getCause()) {
            case RuntimeException r -> throw r;
            case Error error -> throw error;
            case null, default -> throw new IllegalStateException(e);
          }
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
