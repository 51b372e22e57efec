package dev.javelin.device;

import java.util.concurrent.locks.ReentrantLock;

/**
 * The right to work on a device, which one thread has at a time: see {@link Device#turn}. Threads
 * get it in the order in which they asked. A thread that has it may take it again; it is given back
 * by as many calls of {@link #close}.
 */
public final class Turn implements AutoCloseable {
  private final ReentrantLock lock = new ReentrantLock(true);

  Turn() {}

  Turn take() {
    lock.lock();
    return this;
  }

  boolean isMine() {
    return lock.isHeldByCurrentThread();
  }

  /**
   * Gives the turn back.
   *
   * @throws IllegalMonitorStateException in a thread that does not have it
   */
  @Override
  public void close() {
    lock.unlock();
  }
}
