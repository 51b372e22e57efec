package dev.javelin.kernels.cpu;

import static java.util.Objects.requireNonNull;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * Adam: {@code g = gradScale·grad + decay·w; m += (1-beta1)·(g-m); v = beta2·v + (1-beta2)·g²; w -=
 * stepSize·m / (sqrt(v)·rootBias + eps)}. Keeps m and v; with a third buffer the largest v so far,
 * which then divides in its place.
 *
 * @param gradScale factor on every gradient: clip factor / loss scale
 * @param decay weight decay, added to the gradient
 * @param beta1 decay of the first moment
 * @param beta2 decay of the second moment
 * @param stepSize lr / (1 - beta1^t)
 * @param rootBias 1 / sqrt(1 - beta2^t)
 * @param eps added to the root of the corrected second moment
 */
public record AdamCpu(
    float gradScale,
    float decay,
    float beta1,
    float beta2,
    float stepSize,
    float rootBias,
    float eps)
    implements UpdateCpu.Rule {

  @Override
  public void apply(
      MemorySegment weights,
      MemorySegment grads,
      @Nullable MemorySegment[] kept,
      long at,
      int bytes) {
    long w = Ram.address(weights, at, bytes);
    long grad = Ram.address(grads, at, bytes);
    long m = Ram.address(requireNonNull(kept[0]), at, bytes);
    long v = Ram.address(requireNonNull(kept[1]), at, bytes);
    long largest = kept[2] == null ? 0 : Ram.address(kept[2], at, bytes);
    FloatVector scale = Lanes.broadcast(gradScale);
    FloatVector decays = Lanes.broadcast(decay);
    FloatVector oneMinusBeta1 = Lanes.broadcast(1 - beta1);
    FloatVector b2 = Lanes.broadcast(beta2);
    FloatVector oneMinusBeta2 = Lanes.broadcast(1 - beta2);
    FloatVector step = Lanes.broadcast(stepSize);
    FloatVector bias = Lanes.broadcast(rootBias);
    FloatVector beyond = Lanes.broadcast(eps);
    for (int i = 0; i < bytes; i += Lanes.BYTES) {
      FloatVector w0 = Lanes.load(w + i);
      FloatVector g = Lanes.load(grad + i).mul(scale).add(w0.mul(decays));
      FloatVector m0 = Lanes.load(m + i);
      FloatVector m1 = g.sub(m0).fma(oneMinusBeta1, m0);
      FloatVector v1 = Lanes.load(v + i).mul(b2).add(g.mul(g).mul(oneMinusBeta2));
      Lanes.store(m1, m + i);
      Lanes.store(v1, v + i);
      FloatVector over = v1;
      if (largest != 0) {
        over = Lanes.larger(Lanes.load(largest + i), v1);
        Lanes.store(over, largest + i);
      }
      Lanes.store(w0.sub(m1.mul(step).div(over.sqrt().mul(bias).add(beyond))), w + i);
    }
  }
}
