package dev.javelin.cli;

import java.util.concurrent.CountDownLatch;

/**
 * Ctrl-C and the system's request to end: asks the run to stop and holds the process until it has.
 * The Java machine then exits with 130 (or 143), as it does for these signals.
 */
final class Interrupt implements AutoCloseable {
  private final CountDownLatch finished = new CountDownLatch(1);
  private final Thread hook;

  /**
   * @param stop asks the run to end soon
   */
  Interrupt(Runnable stop) {
    hook =
        Thread.ofPlatform()
            .unstarted(
                () -> {
                  stop.run();
                  try {
                    finished.await();
                  } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                  }
                });
    Runtime.getRuntime().addShutdownHook(hook);
  }

  /** The run has ended, by itself or on request. */
  @Override
  public void close() {
    finished.countDown();
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException shuttingDown) {
      // The hook is running: it returns now, and with it the process.
    }
  }
}
