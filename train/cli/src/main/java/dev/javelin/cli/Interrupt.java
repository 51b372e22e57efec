package dev.javelin.cli;

import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;

/**
 * Ctrl-C and the system's request to end. A verb that has something to save says how it is asked to
 * stop; the process is held until it has, and until what went wrong meanwhile is told. The Java
 * machine then exits with 130 (or 143), as it does for these signals, or as the failure wants it.
 */
final class Interrupt {
  private final CountDownLatch finished = new CountDownLatch(1);
  private final Thread hook = Thread.ofPlatform().unstarted(this::interrupted);
  private volatile @Nullable Runnable stop;
  private volatile int exit;

  Interrupt() {
    Runtime.getRuntime().addShutdownHook(hook);
  }

  /**
   * From now on an interruption waits for the verb to end.
   *
   * @param request asks it to end soon
   */
  void stopBy(Runnable request) {
    stop = request;
  }

  private void interrupted() {
    Runnable request = stop;
    if (request == null) {
      return;
    }
    request.run();
    try {
      finished.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    if (exit == Main.FAILURE) {
      Runtime.getRuntime().halt(exit);
    }
  }

  /** The verb has ended, by itself or on request, and all is said. */
  void finished(int exitCode) {
    exit = exitCode;
    finished.countDown();
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException shuttingDown) {
      // The hook is running: it returns now, and with it the process.
    }
  }
}
