package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.util.Objects.requireNonNull;

import dev.javelin.device.Cpu;
import dev.javelin.kernels.EpsilonPlacement;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * AdamW whose moments are kept in blocks of {@link #BLOCK} codes ({@link Float8}) and a scale:
 * {@code m} signed, and {@code r = sqrt(v)} unsigned. A block is decoded, updated as {@link
 * AdamWCpu} does it, and encoded by its new largest element; the weights see the moments before
 * they are encoded.
 *
 * <p>Keeps the codes of m, their scales, the codes of r, their scales. Ranges begin and end at
 * blocks.
 */
public record AdamW8bitCpu(Cpu cpu, AdamWCpu.Constants c) implements UpdateCpu.Rule {
  /** Elements that share a scale. */
  public static final int BLOCK = 128;

  private static final int BYTES = Float.BYTES * BLOCK;

  /** Below, a block's largest element counts as 0: its reciprocal is no number any more. */
  private static final float LEAST = 0x1p-120f;

  @Override
  public void apply(
      MemorySegment w, MemorySegment grad, @Nullable MemorySegment[] kept, long at, int bytes) {
    MemorySegment mCodes = requireNonNull(kept[0]);
    MemorySegment mScales = requireNonNull(kept[1]);
    MemorySegment rCodes = requireNonNull(kept[2]);
    MemorySegment rScales = requireNonNull(kept[3]);
    MemorySegment scratch = cpu.scratch(UpdateCpu.SCRATCH + scratchBytes());
    scratch = scratch.asSlice(UpdateCpu.SCRATCH);
    for (long i = at; i < at + bytes; i += BYTES) {
      long element = i / Float.BYTES;
      long block = element / BLOCK;
      float mScale = mScales.getAtIndex(JAVA_FLOAT_UNALIGNED, block);
      float rScale = rScales.getAtIndex(JAVA_FLOAT_UNALIGNED, block);
      for (int j = 0; j < BLOCK; j++) {
        int m = mCodes.get(JAVA_BYTE, element + j) & 0xFF;
        int r = rCodes.get(JAVA_BYTE, element + j) & 0xFF;
        scratch.set(JAVA_FLOAT_UNALIGNED, 4L * j, Float8.signed(m) * mScale);
        scratch.set(JAVA_FLOAT_UNALIGNED, BYTES + 4L * j, Float8.unsigned(r) * rScale);
      }
      update(w, grad, scratch, i);
      mScales.setAtIndex(
          JAVA_FLOAT_UNALIGNED, block, encode(scratch, 0, mCodes, element, Float8.SIGNED_TOP));
      rScales.setAtIndex(
          JAVA_FLOAT_UNALIGNED,
          block,
          encode(scratch, BYTES, rCodes, element, Float8.UNSIGNED_TOP));
    }
  }

  @Override
  public long scratchBytes() {
    return 2L * BYTES + Lanes.BYTES * 6L; // what the loop needs for a rest is less
  }

  /** Weights of a block, and its moments in scratch. */
  private void update(MemorySegment w, MemorySegment grad, MemorySegment scratch, long at) {
    FloatVector gradScale = Lanes.broadcast(c.gradScale());
    FloatVector oneMinusBeta1 = Lanes.broadcast(1 - c.beta1());
    FloatVector beta2 = Lanes.broadcast(c.beta2());
    FloatVector oneMinusBeta2 = Lanes.broadcast(1 - c.beta2());
    FloatVector decay = Lanes.broadcast(c.decay());
    FloatVector stepSize = Lanes.broadcast(c.stepSize());
    FloatVector bias = Lanes.broadcast(c.bias());
    boolean inside = c.placement() == EpsilonPlacement.INSIDE;
    FloatVector within = Lanes.broadcast(inside ? c.eps() : 0);
    FloatVector beyond = Lanes.broadcast(inside ? 0 : c.eps());
    for (int j = 0; j < BYTES; j += Lanes.BYTES) {
      FloatVector g = Lanes.load(grad, at + j).mul(gradScale);
      FloatVector m0 = Lanes.load(scratch, j);
      FloatVector r0 = Lanes.load(scratch, BYTES + j);
      FloatVector m1 = g.sub(m0).fma(oneMinusBeta1, m0);
      FloatVector v1 = r0.mul(r0).mul(beta2).add(g.mul(g).mul(oneMinusBeta2));
      FloatVector update = AdamWCpu.direction(m1.mul(stepSize), v1.mul(bias), within, beyond);
      Lanes.store(m1, scratch, j);
      Lanes.store(v1.sqrt(), scratch, BYTES + j);
      Lanes.store(Lanes.load(w, at + j).mul(decay).sub(update), w, at + j);
    }
  }

  /** Writes the codes of a block, and gives their scale. */
  private static float encode(
      MemorySegment from, int at, MemorySegment codes, long element, float top) {
    FloatVector most = Lanes.zero();
    for (int j = 0; j < BYTES; j += Lanes.BYTES) {
      most = Lanes.larger(most, Lanes.load(from, at + j).abs());
    }
    float largest = Lanes.max(most);
    boolean signed = top == Float8.SIGNED_TOP;
    float inverse = largest < LEAST ? 0 : top / largest;
    for (int j = 0; j < BLOCK; j++) {
      float x = from.get(JAVA_FLOAT_UNALIGNED, at + 4L * j) * inverse;
      int code = signed ? Float8.toSigned(clamp(x, top)) : unsigned(clamp(x, top));
      codes.set(JAVA_BYTE, element + j, (byte) code);
    }
    return largest < LEAST ? 0 : largest / top;
  }

  /** A second moment that is there never becomes 0, by which the first would be divided. */
  private static int unsigned(float x) {
    return x > 0 ? Math.max(1, Float8.toUnsigned(x)) : 0;
  }

  private static float clamp(float x, float top) {
    return Math.max(-top, Math.min(top, x));
  }
}
