package dev.javelin.kernels.cpu;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.locks.LockSupport;

/**
 * The order in which several threads add to the same sums of keys: spans of queries go over the
 * blocks of keys one behind the other, and each waits at a block until the span before has left it.
 * So every sum gets its parts in the order in which one thread would add them.
 *
 * <pre>
 *   blocks of keys   0 1 2 3 4 5 6 7
 *   span s           . . . . . a         thread A
 *   span s + 1       . . . b             thread B, as soon as A has left block 3
 * </pre>
 *
 * Threads take spans in the order of their numbers, so the span before is always in work or done.
 */
final class AttentionWave {
  private static final int SPINS = 1 << 12;
  private static final long PARK_NANOS = 20_000;

  private final AtomicInteger taken = new AtomicInteger();
  private final AtomicIntegerArray left; // of each span: the blocks before this one
  private final int heads;
  private volatile boolean failed;

  /** Spans are numbered span by span, the heads of a span side by side. */
  AttentionWave(int heads, int spans) {
    this.heads = heads;
    this.left = new AtomicIntegerArray(heads * spans);
  }

  /** The next span that nobody has taken. */
  int take() {
    return taken.getAndIncrement();
  }

  /**
   * Waits until the span before has left {@code block}.
   *
   * @throws IllegalStateException where a span has failed and will never do so
   */
  void await(int span, int block) {
    int before = span - heads;
    for (int i = 1; before >= 0 && left.get(before) <= block; i++) {
      if (failed) {
        throw new IllegalStateException("attention: another span of queries failed");
      }
      Thread.onSpinWait();
      if (i % SPINS == 0) {
        LockSupport.parkNanos(PARK_NANOS); // the thread waited for may have lost its core
      }
    }
  }

  /** Says that {@code span} has left {@code block}, which it had waited for. */
  void leave(int span, int block) {
    left.set(span, block + 1);
  }

  /** Says that {@code span} adds nothing more, as no span before it does. */
  void finish(int span) {
    await(span, Integer.MAX_VALUE - 1);
    left.set(span, Integer.MAX_VALUE);
  }

  /** Lets the others stop waiting. */
  void fail() {
    failed = true;
  }
}
