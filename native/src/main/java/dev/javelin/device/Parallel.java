package dev.javelin.device;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * A team of threads that shares out the pieces of one loop at a time. The caller works too. Each
 * thread has a span of neighbouring pieces, the same in every loop of so many pieces: it goes
 * through memory in order, which is what the hardware fetches ahead, and finds in its caches what
 * it wrote in the loop before. Pieces are claimed one by one, by whoever is through with its own
 * span too, so a thread that the system holds back takes fewer of them, and the caller waits for
 * claimed pieces only: a helper that never woke up costs nothing. Any number of threads may call;
 * their loops run one after another, in the order of the calls.
 *
 * <p>Waiting is a short spin (a wake-up through the system costs tens of microseconds, as much as a
 * whole small loop), then a real park: a thread that waits longer gives its core away, which lets
 * the system move a held-back member of the team onto it.
 */
public final class Parallel implements AutoCloseable {
  /** The body of a parallel loop: one piece {@code [from, to)}. */
  @FunctionalInterface
  public interface Range {
    void run(int from, int to);
  }

  /** The body of a parallel loop that works with an object of its thread's own. */
  @FunctionalInterface
  public interface StateRange<S> {
    void run(S own, int from, int to);
  }

  private static final long SPIN_NANOS = 100_000;
  private static final int SPINS_PER_LOOK_AT_THE_CLOCK = 32;
  private static final int WORDS_APART = 16; // two cache lines, which come in pairs
  private static final Range NOTHING = (from, to) -> {};

  private final Helper[] helpers;
  private final Turn turn = new Turn();
  private boolean looping; // read and written in the turn

  /** Number of the current loop; the last that is set when one begins. */
  private final AtomicLong loop = new AtomicLong();

  /**
   * For each thread: upper half, number of the loop; lower half, how many pieces of its span nobody
   * has claimed. Whether there is anything to claim must stand in the same word as the loop: the
   * fields below may already belong to the next one. Each stands on cache lines of its own.
   */
  private final AtomicLongArray tickets;

  /** Pieces of the current loop that are not finished. */
  private final AtomicInteger unfinished = new AtomicInteger();

  private final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
  private volatile @Nullable Thread waitingCaller;
  private volatile boolean closed;

  // The loop. Written before its tickets are issued and left alone until all its pieces are
  // finished, so whoever claims a piece has read the values that belong to it.
  private int n;
  private int grain = 1;
  private int pieces;
  private Range body = NOTHING;

  Parallel(int threads) {
    helpers = new Helper[threads - 1];
    tickets = new AtomicLongArray((threads + 1) * WORDS_APART);
    for (int i = 0; i < helpers.length; i++) {
      helpers[i] = new Helper(i + 1);
    }
    for (Helper h : helpers) {
      h.start();
    }
  }

  int threads() {
    return helpers.length + 1;
  }

  /** Index of the calling thread within its team: 0 for the caller of {@link #run}. */
  int worker() {
    return Thread.currentThread() instanceof Helper h && h.team() == this ? h.worker : 0;
  }

  /**
   * The team's turn, waited for.
   *
   * @throws IllegalStateException in a helper, inside a loop: who has the turn waits for that loop
   */
  Turn turn() {
    if (worker() > 0) {
      throw nested();
    }
    return turn.take();
  }

  boolean isMyTurn() {
    return turn.isMine();
  }

  private static IllegalStateException nested() {
    return new IllegalStateException(
        "parallel: a loop is already running on this device (called from thread "
            + Thread.currentThread().getName()
            + "); start loops and close memory one after another, never inside the body of a loop");
  }

  /**
   * Runs {@code body} over {@code [0, n)} in pieces of {@code grain} and returns when all are done;
   * waits before for the loops of other threads. If a piece throws, pieces not yet begun are
   * skipped and the (first) exception is thrown here.
   *
   * @throws IllegalStateException inside another loop of this team, or after {@link #close}
   */
  void run(int n, int grain, Range body) {
    if (grain < 1) {
      throw new IllegalArgumentException("parallel: grain must be at least 1, got " + grain);
    }
    if (n <= 0) {
      return;
    }
    try (Turn _ = turn()) {
      if (closed) {
        throw new IllegalStateException("parallel: the device is closed");
      }
      if (looping) {
        throw nested();
      }
      looping = true;
      try {
        int count = Math.ceilDiv(n, grain);
        if (count == 1 || helpers.length == 0) {
          for (int from = 0; from < n; from += grain) {
            body.run(from, Math.min(n, from + grain));
          }
        } else {
          share(n, grain, count, body);
        }
      } finally {
        looping = false;
      }
    }
  }

  private void share(int n, int grain, int count, Range body) {
    this.n = n;
    this.grain = grain;
    this.pieces = count;
    this.body = body;
    unfinished.set(count);
    long number = loop.get() + 1;
    for (int i = 0; i < threads(); i++) {
      tickets.set(ticketOf(i), number << 32 | (begin(i + 1, count) - begin(i, count)));
    }
    loop.set(number);
    for (int i = 0; i < helpers.length && i < count - 1; i++) {
      helpers[i].wake();
    }
    takePieces(0);
    awaitHelpers();
    this.body = NOTHING;
    Throwable f = failure.getAndSet(null);
    if (f instanceof Error e) {
      throw e;
    }
    if (f instanceof RuntimeException e) {
      throw e;
    }
    if (f != null) {
      throw new IllegalStateException("a piece of a parallel loop failed: " + f, f);
    }
  }

  private static int ticketOf(int worker) {
    return (worker + 1) * WORDS_APART;
  }

  /** The first piece of a thread's span, of {@code count} pieces. */
  private int begin(int worker, int count) {
    return (int) Math.ceilDiv((long) worker * count, threads());
  }

  /** Claims and runs pieces of the current loop until none is left: those of its span first. */
  private void takePieces(int worker) {
    for (int i = 0; i < threads(); i++) {
      int owner = worker + i;
      takeSpan(owner < threads() ? owner : owner - threads());
    }
  }

  private void takeSpan(int owner) {
    int at = ticketOf(owner);
    while (true) {
      long t = tickets.get(at);
      int unclaimed = (int) t;
      if (unclaimed == 0) {
        return;
      }
      int from = (begin(owner + 1, pieces) - unclaimed) * grain;
      int to = Math.min(n, from + grain);
      Range b = body;
      // Success proves that the loop of this ticket still has an unfinished piece (this one), so
      // the caller has not replaced the fields read above.
      if (tickets.compareAndSet(at, t, t - 1)) {
        try {
          if (failure.get() == null) {
            b.run(from, to);
          }
        } catch (Throwable thrown) {
          failure.compareAndSet(null, thrown);
        }
        finishPiece();
      }
    }
  }

  private void finishPiece() {
    if (unfinished.decrementAndGet() == 0) {
      Thread caller = waitingCaller;
      if (caller != null) {
        LockSupport.unpark(caller);
      }
    }
  }

  private void awaitHelpers() {
    long begin = 0;
    for (int i = 1; unfinished.get() > 0; i++) {
      Thread.onSpinWait();
      if (i % SPINS_PER_LOOK_AT_THE_CLOCK == 0) {
        long now = System.nanoTime();
        if (begin == 0) {
          begin = now;
        } else if (now - begin > SPIN_NANOS) {
          parkUntilFinished();
        }
      }
    }
  }

  private void parkUntilFinished() {
    boolean interrupted = false;
    waitingCaller = Thread.currentThread();
    while (unfinished.get() > 0) {
      LockSupport.park(this);
      interrupted |= Thread.interrupted(); // an interrupt would turn every park into a spin
    }
    waitingCaller = null;
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** Ends the helpers, after the loop in progress. */
  @Override
  public void close() {
    try (Turn _ = turn()) {
      if (looping) {
        throw nested();
      }
      closed = true;
    }
    for (Helper h : helpers) {
      h.wake();
    }
  }

  private final class Helper extends Thread {
    final int worker;
    private volatile boolean parked;

    Helper(int worker) {
      super("javelin-" + worker);
      this.worker = worker;
      setDaemon(true);
    }

    Parallel team() {
      return Parallel.this;
    }

    void wake() {
      if (parked) {
        LockSupport.unpark(this);
      }
    }

    @Override
    public void run() {
      long seen = 0;
      while (!closed) {
        long current = loop.get();
        if (current == seen) {
          awaitLoopAfter(seen);
        } else {
          takePieces(worker);
          seen = current;
        }
      }
    }

    private void awaitLoopAfter(long seen) {
      long begin = System.nanoTime();
      for (int i = 1; !closed && loop.get() == seen; i++) {
        Thread.onSpinWait();
        if (i % SPINS_PER_LOOK_AT_THE_CLOCK == 0 && System.nanoTime() - begin > SPIN_NANOS) {
          parked = true;
          while (!closed && loop.get() == seen) {
            LockSupport.park(Parallel.this);
            Thread.interrupted();
          }
          parked = false;
        }
      }
    }
  }
}
