package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;

import dev.javelin.device.Cpu;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/** Classes drawn from the softmax of rows of logits. */
public final class DrawTargetsCpu {
  /** Columns are summed as a GPU's warp sums them: column c belongs to lane c mod 32. */
  private static final int WARP = 32;

  private static final int SITE = 0x44524157; // "DRAW": no dropout has this number

  private DrawTargetsCpu() {}

  /**
   * What random numbers depend on.
   *
   * @param firstRow number of the first row in the step
   */
  public record Key(long seed, int step, int firstRow) {}

  /**
   * {@code ids[r]}: the first class, in the order of lanes and then of columns, at which the sum of
   * {@code softmax(logits[r])} passes a number in [0, 1); {@code targets[r]} where that is {@code
   * ignored}.
   */
  public static void run(
      Cpu cpu,
      MemorySegment ids,
      Rows logits,
      MemorySegment targets,
      int ignored,
      float softCap,
      Key key) {
    Rows in = logits.slot(0);
    int cols = in.cols();
    cpu.parallel(
        logits.count(),
        Rows.grain(cols),
        (from, to) -> {
          MemorySegment scratch = cpu.scratch(Rows.scratchBytes(cols, 1) + 4L * Lanes.pad(cols));
          MemorySegment xs = in.segment(scratch);
          MemorySegment e = scratch.asSlice(Rows.scratchBytes(cols, 1));
          float[] sums = new float[WARP];
          int[] words = new int[Philox.WORDS];
          for (int r = from; r < to; r++) {
            int target = targets.getAtIndex(JAVA_INT_UNALIGNED, r);
            if (target != ignored) {
              Philox.block(words, key.firstRow + r, 0, key.step, SITE, key.seed);
              exponentials(e, xs, in.load(r, scratch), cols, softCap);
              target = draw(e, cols, sums, Philox.uniform(words[0]));
            }
            ids.setAtIndex(JAVA_INT_UNALIGNED, r, target);
          }
        });
  }

  private static void exponentials(
      MemorySegment e, MemorySegment x, long at, int cols, float softCap) {
    float max = Float.NEGATIVE_INFINITY;
    for (int c = 0; c < cols; c++) {
      float v = x.get(JAVA_FLOAT_UNALIGNED, at + 4L * c);
      v = softCap > 0 ? softCap * VectorMath.tanh(v / softCap) : v;
      e.setAtIndex(JAVA_FLOAT_UNALIGNED, c, v);
      max = Math.max(max, v);
    }
    for (int c = 0; c < cols; c += Lanes.COUNT) {
      Lanes.store(VectorMath.exp(Lanes.load(e, 4L * c).sub(max)), e, 4L * c);
    }
  }

  private static int draw(MemorySegment e, int cols, float[] sums, float uniform) {
    Arrays.fill(sums, 0);
    for (int c = 0; c < cols; c++) {
      sums[c % WARP] += e.getAtIndex(JAVA_FLOAT_UNALIGNED, c);
    }
    double total = 0;
    for (float sum : sums) {
      total += sum;
    }
    double left = uniform * total;
    int lane = 0;
    while (lane < Math.min(WARP, cols) - 1 && left >= sums[lane]) {
      left -= sums[lane++];
    }
    int c = lane;
    float before = 0;
    while (c + WARP < cols && left >= before + e.getAtIndex(JAVA_FLOAT_UNALIGNED, c)) {
      before += e.getAtIndex(JAVA_FLOAT_UNALIGNED, c);
      c += WARP;
    }
    return c;
  }
}
