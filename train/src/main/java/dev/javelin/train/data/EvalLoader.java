package dev.javelin.train.data;

import dev.javelin.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** All whole windows in order; the last batch is filled up with rows that are ignored. */
public final class EvalLoader {
  /** The target that does not count. */
  public static final int IGNORED = -100;

  private final Windows windows;
  private final int batch;

  public EvalLoader(Windows windows, int batch) {
    if (batch < 1) {
      throw new IllegalArgumentException("batch must be at least 1, got " + batch);
    }
    this.windows = windows;
    this.batch = batch;
  }

  /** How many targets of batch {@code index} count. */
  public int validTargets(long index) {
    return (int) Math.clamp(windows.count() - index * batch, 0, batch) * windows.seqLen();
  }

  /** How many batches hold all windows. */
  public long batches() {
    return (windows.count() + batch - 1) / batch;
  }

  /**
   * Writes batch {@code index}, both tensors I32 [B, T] on the host, and returns how many targets
   * count. A row beyond the last window has tokens 0 and targets {@link #IGNORED}.
   */
  public int fill(long index, Tensor tokens, Tensor targets) {
    windows.check(tokens, targets, batch);
    MemorySegment to = tokens.segment();
    MemorySegment next = targets.segment();
    int seqLen = windows.seqLen();
    for (int row = 0; row < batch; row++) {
      long window = index * batch + row;
      if (window < windows.count()) {
        windows.read(window, to, next, row);
        continue;
      }
      for (int i = row * seqLen; i < (row + 1) * seqLen; i++) {
        to.setAtIndex(ValueLayout.JAVA_INT, i, 0);
        next.setAtIndex(ValueLayout.JAVA_INT, i, IGNORED);
      }
    }
    return validTargets(index);
  }
}
