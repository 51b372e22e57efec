package dev.javelin.kernels.cpu;

import static java.util.Objects.requireNonNull;

import dev.javelin.kernels.EpsilonPlacement;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * AdamW: {@code g = gradScale·grad; m += (1-beta1)·(g-m); v = beta2·v + (1-beta2)·g²; w = decay·w -
 * stepSize·m / (sqrt(v)·rootBias + eps)}. Keeps m and v.
 */
public record AdamWCpu(Constants c) implements UpdateCpu.Rule {

  /**
   * Everything about a step that is the same for all elements of a range.
   *
   * @param gradScale factor on every gradient: clip factor / loss scale
   * @param beta1 decay of the first moment
   * @param beta2 decay of the second moment
   * @param decay factor on the weight: 1 - lr·weightDecay
   * @param stepSize lr / (1 - beta1^t)
   * @param rootBias 1 / sqrt(1 - beta2^t)
   * @param bias 1 / (1 - beta2^t)
   * @param eps added to the root of the corrected second moment, or where {@code placement} says
   */
  public record Constants(
      float gradScale,
      float beta1,
      float beta2,
      float decay,
      float stepSize,
      float rootBias,
      float bias,
      float eps,
      EpsilonPlacement placement) {}

  @Override
  public void apply(
      MemorySegment weights,
      MemorySegment grads,
      @Nullable MemorySegment[] kept,
      long at,
      int bytes) {
    if (c.placement != EpsilonPlacement.OUTSIDE) {
      otherwise(weights, grads, kept, at, bytes);
      return;
    }
    long w = Ram.address(weights, at, bytes);
    long grad = Ram.address(grads, at, bytes);
    long m = Ram.address(requireNonNull(kept[0]), at, bytes);
    long v = Ram.address(requireNonNull(kept[1]), at, bytes);
    FloatVector gradScale = Lanes.broadcast(c.gradScale);
    FloatVector oneMinusBeta1 = Lanes.broadcast(1 - c.beta1);
    FloatVector beta2 = Lanes.broadcast(c.beta2);
    FloatVector oneMinusBeta2 = Lanes.broadcast(1 - c.beta2);
    FloatVector decay = Lanes.broadcast(c.decay);
    FloatVector stepSize = Lanes.broadcast(c.stepSize);
    FloatVector rootBias = Lanes.broadcast(c.rootBias);
    FloatVector eps = Lanes.broadcast(c.eps);
    for (int i = 0; i < bytes; i += Lanes.BYTES) {
      FloatVector g = Lanes.load(grad + i).mul(gradScale);
      FloatVector m0 = Lanes.load(m + i);
      FloatVector m1 = g.sub(m0).fma(oneMinusBeta1, m0);
      FloatVector v1 = Lanes.load(v + i).mul(beta2).add(g.mul(g).mul(oneMinusBeta2));
      FloatVector update = m1.mul(stepSize).div(v1.sqrt().mul(rootBias).add(eps));
      Lanes.store(m1, m + i);
      Lanes.store(v1, v + i);
      Lanes.store(Lanes.load(w + i).mul(decay).sub(update), w + i);
    }
  }

  /** With epsilon elsewhere; the root is had from the corrected moment. */
  private void otherwise(
      MemorySegment weights,
      MemorySegment grads,
      @Nullable MemorySegment[] kept,
      long at,
      int bytes) {
    long w = Ram.address(weights, at, bytes);
    long grad = Ram.address(grads, at, bytes);
    long m = Ram.address(requireNonNull(kept[0]), at, bytes);
    long v = Ram.address(requireNonNull(kept[1]), at, bytes);
    boolean inside = c.placement == EpsilonPlacement.INSIDE;
    FloatVector gradScale = Lanes.broadcast(c.gradScale);
    FloatVector oneMinusBeta1 = Lanes.broadcast(1 - c.beta1);
    FloatVector beta2 = Lanes.broadcast(c.beta2);
    FloatVector oneMinusBeta2 = Lanes.broadcast(1 - c.beta2);
    FloatVector decay = Lanes.broadcast(c.decay);
    FloatVector stepSize = Lanes.broadcast(c.stepSize);
    FloatVector bias = Lanes.broadcast(c.bias);
    FloatVector within = Lanes.broadcast(inside ? c.eps : 0);
    FloatVector beyond = Lanes.broadcast(inside ? 0 : c.eps);
    for (int i = 0; i < bytes; i += Lanes.BYTES) {
      FloatVector g = Lanes.load(grad + i).mul(gradScale);
      FloatVector m0 = Lanes.load(m + i);
      FloatVector m1 = g.sub(m0).fma(oneMinusBeta1, m0);
      FloatVector v1 = Lanes.load(v + i).mul(beta2).add(g.mul(g).mul(oneMinusBeta2));
      FloatVector update = direction(m1.mul(stepSize), v1.mul(bias), within, beyond);
      Lanes.store(m1, m + i);
      Lanes.store(v1, v + i);
      Lanes.store(Lanes.load(w + i).mul(decay).sub(update), w + i);
    }
  }

  /** {@code m / (sqrt(v + within) + beyond)}, 0 where that would be divided by 0. */
  static FloatVector direction(
      FloatVector m, FloatVector v, FloatVector within, FloatVector beyond) {
    FloatVector root = v.add(within).sqrt();
    return m.div(root.add(beyond)).blend(0, root.eq(0));
  }
}
