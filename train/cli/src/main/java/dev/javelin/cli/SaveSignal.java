package dev.javelin.cli;

import dev.javelin.train.data.InputException;
import org.jspecify.annotations.Nullable;

/**
 * The signal by which a batch system says that time is up: the run saves and ends, with an exit
 * code of its own, so that a script knows to put it into the queue again. Until it is closed.
 */
final class SaveSignal implements AutoCloseable {
  /** EX_TEMPFAIL of sysexits.h: nothing is wrong, try again later. */
  static final int EXIT = 75;

  private static final String NONE = "none";
  private static final String USUAL = "USR1";

  private @Nullable Runnable reset;
  private boolean came; // guarded by this, as is stop
  private @Nullable Runnable stop;

  /**
   * Listens from now on.
   *
   * @param name such as {@code USR1}; {@code none} for no signal; null for the usual one, where the
   *     system has it
   * @throws InputException where a process cannot listen to that signal here
   */
  SaveSignal(@Nullable String name) {
    if (NONE.equals(name)) {
      return;
    }
    try {
      reset = Signals.handle(name == null ? USUAL : name, this::received);
    } catch (IllegalArgumentException e) {
      if (name != null) {
        throw new InputException(
            "--save-signal %s: a run cannot listen to that signal here: choose another, such as USR1, or none"
                .formatted(name),
            e);
      }
    }
  }

  private synchronized void received() {
    came = true;
    if (stop != null) {
      stop.run();
    }
  }

  /**
   * From now on the signal ends the run; at once where it has come already.
   *
   * @param request asks the run to end soon
   */
  synchronized void stopBy(Runnable request) {
    stop = request;
    if (came) {
      request.run();
    }
  }

  /** The exit code of a run that was asked to stop. */
  synchronized int exit() {
    return came ? EXIT : Main.INTERRUPTED;
  }

  @Override
  public void close() {
    if (reset != null) {
      reset.run();
    }
  }
}
