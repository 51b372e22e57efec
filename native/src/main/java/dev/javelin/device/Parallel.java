package dev.javelin.device;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * A team of threads that shares out the pieces of one loop at a time. The caller works too. Pieces
 * are taken from a counter, so a thread that the system holds back takes fewer of them.
 */
public final class Parallel implements AutoCloseable {
  /** The body of a parallel loop: one piece {@code [from, to)}. */
  @FunctionalInterface
  public interface Range {
    void run(int from, int to);
  }

  private static final ThreadLocal<Integer> WORKER = ThreadLocal.withInitial(() -> 0);

  private final Thread[] helpers;
  private final AtomicInteger next = new AtomicInteger();
  private final AtomicInteger done = new AtomicInteger();
  private volatile int epoch;
  private volatile boolean closed;
  private int n;
  private int grain;
  private int pieces;
  private @Nullable Range body;
  private volatile @Nullable Throwable failure;

  Parallel(int threads) {
    helpers = new Thread[threads - 1];
    for (int i = 0; i < helpers.length; i++) {
      int worker = i + 1;
      helpers[i] =
          Thread.ofPlatform().daemon().name("javelin-" + worker).unstarted(() -> help(worker));
    }
    for (Thread t : helpers) {
      t.start();
    }
  }

  int threads() {
    return helpers.length + 1;
  }

  /** Index of the calling thread within its team: 0 for the caller of {@link #run}. */
  int worker() {
    return WORKER.get();
  }

  void run(int n, int grain, Range body) {
    if (grain < 1) {
      throw new IllegalArgumentException("grain must be at least 1, got " + grain);
    }
    int pieces = (n + grain - 1) / grain;
    if (pieces <= 1 || helpers.length == 0) {
      for (int from = 0; from < n; from += grain) {
        body.run(from, Math.min(n, from + grain));
      }
      return;
    }
    this.n = n;
    this.grain = grain;
    this.pieces = pieces;
    this.body = body;
    done.set(0);
    next.set(0);
    epoch++;
    for (Thread t : helpers) {
      LockSupport.unpark(t);
    }
    takePieces(body);
    while (done.get() < helpers.length) {
      Thread.onSpinWait();
    }
    this.body = null;
    Throwable f = failure;
    if (f != null) {
      failure = null;
      throw new IllegalStateException("a parallel loop failed: " + f, f);
    }
  }

  private void takePieces(Range body) {
    try {
      for (int p = next.getAndIncrement(); p < pieces; p = next.getAndIncrement()) {
        int from = p * grain;
        body.run(from, Math.min(n, from + grain));
      }
    } catch (Throwable t) {
      failure = t;
      next.set(pieces);
    }
  }

  private void help(int worker) {
    WORKER.set(worker);
    int seen = 0;
    while (!closed) {
      if (epoch == seen) {
        LockSupport.park(this);
        continue;
      }
      seen = epoch;
      Range b = body;
      if (b != null) {
        takePieces(b);
      }
      done.incrementAndGet();
    }
  }

  @Override
  public void close() {
    closed = true;
    for (Thread t : helpers) {
      LockSupport.unpark(t);
    }
  }
}
