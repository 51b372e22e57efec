package dev.javelin.train.data;

import dev.javelin.tensor.Tensor;
import java.lang.foreign.MemorySegment;

/**
 * The batches of a training: optimizer step s, micro-step a, row b reads the window that comes at
 * place (s·A + a)·B + b of the order. A batch depends on its place alone, so a resumed run goes on
 * where it stopped and A micro-batches of B rows hold what one of A·B would.
 */
public final class TokenLoader {
  private final Windows windows;
  private final WindowOrder order;
  private final int batch;
  private final int accumulation;

  /**
   * @param batch rows of a micro-batch, B
   * @param accumulation micro-batches of an optimizer step, A
   */
  public TokenLoader(Windows windows, WindowOrder order, int batch, int accumulation) {
    if (batch < 1 || accumulation < 1) {
      throw new IllegalArgumentException(
          "batch and accumulation must be at least 1, got " + batch + " and " + accumulation);
    }
    this.windows = windows;
    this.order = order;
    this.batch = batch;
    this.accumulation = accumulation;
  }

  /** Writes the ids and the next-token targets of a micro-batch, both I32 [B, T] on the host. */
  public void fill(long step, int microStep, Tensor tokens, Tensor targets) {
    windows.check(tokens, targets, batch);
    MemorySegment to = tokens.segment();
    MemorySegment next = targets.segment();
    for (int row = 0; row < batch; row++) {
      long place = (step * accumulation + microStep) * batch + row;
      windows.read(order.window(place, windows.count()), to, next, row);
    }
  }

  /**
   * Targets that count towards the loss in the whole optimizer step, over all its micro-batches;
   * for plain text all A·B·T.
   */
  public long validTargets(long step) {
    return (long) accumulation * batch * windows.seqLen();
  }
}
