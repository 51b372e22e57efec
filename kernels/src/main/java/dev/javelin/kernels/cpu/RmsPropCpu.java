package dev.javelin.kernels.cpu;

import static java.util.Objects.requireNonNull;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * RMSprop: {@code g = gradScale·grad + decay·w; s = alpha·s + (1-alpha)·g²; u = g / (sqrt(s) +
 * eps); w -= lr·u}. Keeps s. With a second buffer the mean of g is kept, and its square taken off s
 * under the root; with a third a velocity {@code v = momentum·v + u}, which then is the step.
 *
 * @param gradScale factor on every gradient: clip factor / loss scale
 * @param decay weight decay, added to the gradient
 * @param alpha decay of the means
 * @param momentum decay of the velocity
 * @param lr the learning rate
 * @param eps added to the root
 */
public record RmsPropCpu(
    float gradScale, float decay, float alpha, float momentum, float lr, float eps)
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
    long square = Ram.address(requireNonNull(kept[0]), at, bytes);
    long mean = kept[1] == null ? 0 : Ram.address(kept[1], at, bytes);
    long velocity = kept[2] == null ? 0 : Ram.address(kept[2], at, bytes);
    FloatVector scale = Lanes.broadcast(gradScale);
    FloatVector decays = Lanes.broadcast(decay);
    FloatVector a = Lanes.broadcast(alpha);
    FloatVector oneMinusA = Lanes.broadcast(1 - alpha);
    FloatVector mu = Lanes.broadcast(momentum);
    FloatVector rate = Lanes.broadcast(lr);
    FloatVector beyond = Lanes.broadcast(eps);
    for (int i = 0; i < bytes; i += Lanes.BYTES) {
      FloatVector w0 = Lanes.load(w + i);
      FloatVector g = Lanes.load(grad + i).mul(scale).add(w0.mul(decays));
      FloatVector s = Lanes.load(square + i).mul(a).add(g.mul(g).mul(oneMinusA));
      Lanes.store(s, square + i);
      FloatVector variance = s;
      if (mean != 0) {
        FloatVector m = Lanes.load(mean + i).mul(a).add(g.mul(oneMinusA));
        Lanes.store(m, mean + i);
        variance = Lanes.larger(Lanes.zero(), s.sub(m.mul(m))); // rounding may make it negative
      }
      FloatVector u = g.div(variance.sqrt().add(beyond));
      if (velocity != 0) {
        u = Lanes.load(velocity + i).mul(mu).add(u);
        Lanes.store(u, velocity + i);
      }
      Lanes.store(w0.sub(u.mul(rate)), w + i);
    }
  }
}
