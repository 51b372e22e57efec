package dev.javelin.nn;

import dev.javelin.device.HostMemory;
import dev.javelin.device.Turn;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Rotation;
import dev.javelin.tensor.op.Rotation.Pairing;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The cosines and sines of a model's rotary positions, computed as far as its sequences reach: a
 * model with room for 131072 tokens pays for those it reads.
 *
 * <pre>
 * cos[p, i] = amplitude · cos(p · f(i)), sin alike; f32 [P, D/2]
 * </pre>
 *
 * Where the frequencies depend on the length of the sequence (see {@link RopeConfig#basis}), rows
 * are computed anew for a sequence with others, so a tape must have run its backward pass before,
 * and a recorded pass is preceded by {@link #prepare}. Threads share a table as they share its
 * device: a pass that is done in one {@link dev.javelin.device.Device#turn} finds the rows it asked
 * for, whatever other passes asked for before.
 */
public final class RotaryTable {
  /** Rows computed together: a text that grows token by token is one copy to a GPU for so many. */
  private static final int BLOCK = 64;

  private final RopeConfig rope;
  private final Tensor cos;
  private final Tensor sin;
  private final int width;
  private final Pairing pairing;
  private int basis = -1;
  private double[] frequencies = {};
  private int from; // rows [from, to) are computed
  private int to;

  private RotaryTable(RopeConfig rope, Tensor cos, Tensor sin, int width, Pairing pairing) {
    this.rope = rope;
    this.cos = cos;
    this.sin = sin;
    this.width = width;
    this.pairing = pairing;
  }

  /** A table for so many positions of heads of that even width. */
  public static RotaryTable declare(Declare d, RopeConfig rope, int positions, int headDim) {
    return declare(d, rope, positions, headDim, Pairing.HALVES);
  }

  /**
   * The same.
   *
   * @param width features of a head that turn, an even number of the first ones
   */
  public static RotaryTable declare(
      Declare d, RopeConfig rope, int positions, int width, Pairing pairing) {
    Tensor cos = d.constant(positions, width / 2);
    return new RotaryTable(rope, cos, d.constant(positions, width / 2), width, pairing);
  }

  /** The turns of the last {@code end - first} tokens of a sequence of {@code end}. */
  public Rotation rotation(int first, int end) {
    prepare(first, end);
    return Rotation.of(cos, sin).pairing(pairing).from(first);
  }

  /** Computes the rows of {@link #rotation} that are not there. */
  public void prepare(int first, int end) {
    try (Turn _ = cos.device().turn()) {
      prepareInTurn(first, end);
    }
  }

  /** Whether sequences of these lengths turn by the same angles. */
  boolean alike(int oneLength, int otherLength) {
    return rope.basis(oneLength) == rope.basis(otherLength);
  }

  private void prepareInTurn(int first, int end) {
    int needed = rope.basis(end);
    if (needed != basis) {
      basis = needed;
      frequencies = rope.frequencies(width, end);
      from = first;
      to = first;
    }
    if (first < from) { // a gap behind `to` is filled: other sequences come to it
      from = first;
      to = first;
    }
    if (end > to) {
      int ahead = (int) Math.min(cos.dim(0), Math.ceilDiv((long) end, BLOCK) * BLOCK);
      fill(to, ahead);
      to = ahead;
    }
  }

  private void fill(int begin, int end) {
    double amplitude = rope.amplitude();
    Tensor cosRows = cos.slice(0, begin, end);
    Tensor sinRows = sin.slice(0, begin, end);
    int elements = Math.toIntExact(cosRows.elements());
    boolean onHost = cos.memory() instanceof HostMemory;
    MemorySegment c = onHost ? cosRows.segment() : MemorySegment.ofArray(new float[elements]);
    MemorySegment s = onHost ? sinRows.segment() : MemorySegment.ofArray(new float[elements]);
    long at = 0;
    for (int p = begin; p < end; p++) {
      for (double f : frequencies) {
        c.setAtIndex(ValueLayout.JAVA_FLOAT, at, (float) (amplitude * StrictMath.cos(p * f)));
        s.setAtIndex(ValueLayout.JAVA_FLOAT, at, (float) (amplitude * StrictMath.sin(p * f)));
        at++;
      }
    }
    if (!onHost) {
      cosRows.fromHost(c);
      sinRows.fromHost(s);
    }
  }
}
