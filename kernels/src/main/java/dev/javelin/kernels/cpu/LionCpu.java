package dev.javelin.kernels.cpu;

import static java.util.Objects.requireNonNull;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.LT;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * Lion: {@code g = gradScale·grad; w = decay·w - lr·sign(beta1·m + (1-beta1)·g); m = beta2·m +
 * (1-beta2)·g}. Keeps m.
 *
 * @param gradScale factor on every gradient: clip factor / loss scale
 * @param decay factor on the weight: 1 - lr·weightDecay
 * @param beta1 share of the momentum in the direction
 * @param beta2 decay of the momentum
 * @param lr the learning rate
 */
public record LionCpu(float gradScale, float decay, float beta1, float beta2, float lr)
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
    FloatVector scale = Lanes.broadcast(gradScale);
    FloatVector decays = Lanes.broadcast(decay);
    FloatVector b1 = Lanes.broadcast(beta1);
    FloatVector oneMinusB1 = Lanes.broadcast(1 - beta1);
    FloatVector b2 = Lanes.broadcast(beta2);
    FloatVector oneMinusB2 = Lanes.broadcast(1 - beta2);
    for (int i = 0; i < bytes; i += Lanes.BYTES) {
      FloatVector g = Lanes.load(grad + i).mul(scale);
      FloatVector m0 = Lanes.load(m + i);
      FloatVector c = m0.mul(b1).add(g.mul(oneMinusB1));
      FloatVector step =
          Lanes.zero().blend(lr, c.compare(GT, 0f)).blend(-lr, c.compare(LT, 0f)); // sign(0) = 0
      Lanes.store(m0.mul(b2).add(g.mul(oneMinusB2)), m + i);
      Lanes.store(Lanes.load(w + i).mul(decays).sub(step), w + i);
    }
  }
}
