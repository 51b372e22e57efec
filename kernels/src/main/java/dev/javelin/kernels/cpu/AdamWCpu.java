package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/** AdamW over a range of flat buffers, all in one pass over memory. */
public final class AdamWCpu {
  private static final int PIECE = 1 << 14; // five streams of 64 kB stay in the second-level cache

  private AdamWCpu() {}

  /**
   * Everything about a step that is the same for all elements of a range.
   *
   * @param gradScale factor on every gradient: clip factor / loss scale
   * @param beta1 decay of the first moment
   * @param beta2 decay of the second moment
   * @param decay factor on the weight: 1 - lr·weightDecay
   * @param stepSize lr / (1 - beta1^t)
   * @param rootBias 1 / sqrt(1 - beta2^t)
   * @param eps added to the root of the corrected second moment
   */
  public record Constants(
      float gradScale,
      float beta1,
      float beta2,
      float decay,
      float stepSize,
      float rootBias,
      float eps) {}

  /**
   * For {@code i} in {@code [from, to)}: {@code g = gradScale·grad; m += (1-beta1)·(g-m); v =
   * beta2·v + (1-beta2)·g²; w = decay·w - stepSize·m / (sqrt(v)·rootBias + eps); grad = 0}. Moves
   * 32 bytes per element, and 2 more where there is a half copy.
   *
   * @param half copy of the weights in bf16 or f16, written only; where {@code type} is F32 it is
   *     not touched
   * @param w weights, fp32
   */
  public static void step(
      Cpu cpu,
      MemorySegment half,
      DType type,
      MemorySegment w,
      MemorySegment m,
      MemorySegment v,
      MemorySegment grad,
      Constants c,
      long from,
      long to) {
    cpu.parallel(
        Math.toIntExact((to - from + PIECE - 1) / PIECE),
        1,
        (first, last) -> {
          for (int p = first; p < last; p++) {
            long begin = from + (long) p * PIECE;
            long end = Math.min(to, begin + PIECE);
            piece(w, m, v, grad, c, begin, end);
            if (type != DType.F32) {
              int n = (int) (end - begin);
              Half.narrow(half, type.bytes(begin), type, w, Float.BYTES * begin, n);
            }
          }
        });
  }

  private static void piece(
      MemorySegment w,
      MemorySegment m,
      MemorySegment v,
      MemorySegment grad,
      Constants c,
      long from,
      long to) {
    FloatVector gradScale = Lanes.broadcast(c.gradScale);
    FloatVector oneMinusBeta1 = Lanes.broadcast(1 - c.beta1);
    FloatVector beta2 = Lanes.broadcast(c.beta2);
    FloatVector oneMinusBeta2 = Lanes.broadcast(1 - c.beta2);
    FloatVector decay = Lanes.broadcast(c.decay);
    FloatVector stepSize = Lanes.broadcast(c.stepSize);
    FloatVector rootBias = Lanes.broadcast(c.rootBias);
    FloatVector eps = Lanes.broadcast(c.eps);
    long bound = from + Lanes.SPECIES.loopBound(to - from);
    for (long i = from; i < bound; i += Lanes.COUNT) {
      long at = Float.BYTES * i;
      FloatVector g = Lanes.load(grad, at).mul(gradScale);
      FloatVector m0 = Lanes.load(m, at);
      FloatVector m1 = g.sub(m0).fma(oneMinusBeta1, m0);
      FloatVector v1 = Lanes.load(v, at).mul(beta2).add(g.mul(g).mul(oneMinusBeta2));
      FloatVector update = m1.mul(stepSize).div(v1.sqrt().mul(rootBias).add(eps));
      Lanes.store(m1, m, at);
      Lanes.store(v1, v, at);
      Lanes.store(Lanes.load(w, at).mul(decay).sub(update), w, at);
      Lanes.store(Lanes.zero(), grad, at);
    }
    for (long i = bound; i < to; i++) {
      float g = grad.getAtIndex(JAVA_FLOAT_UNALIGNED, i) * c.gradScale;
      float m0 = m.getAtIndex(JAVA_FLOAT_UNALIGNED, i);
      float m1 = Math.fma(g - m0, 1 - c.beta1, m0);
      float v1 = v.getAtIndex(JAVA_FLOAT_UNALIGNED, i) * c.beta2 + g * g * (1 - c.beta2);
      float update = m1 * c.stepSize / ((float) Math.sqrt(v1) * c.rootBias + c.eps);
      m.setAtIndex(JAVA_FLOAT_UNALIGNED, i, m1);
      v.setAtIndex(JAVA_FLOAT_UNALIGNED, i, v1);
      float w0 = w.getAtIndex(JAVA_FLOAT_UNALIGNED, i);
      w.setAtIndex(JAVA_FLOAT_UNALIGNED, i, w0 * c.decay - update);
      grad.setAtIndex(JAVA_FLOAT_UNALIGNED, i, 0);
    }
  }
}
