package dev.javelin.kernels.cpu;

import static java.util.Objects.requireNonNull;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * AdaGrad: {@code g = gradScale·grad + decay·w; s += g²; w -= rate·g / (sqrt(s) + eps)}. Keeps s.
 *
 * @param gradScale factor on every gradient: clip factor / loss scale
 * @param decay weight decay, added to the gradient
 * @param rate the learning rate, after its own decay
 * @param eps added to the root of the sum
 */
public record AdaGradCpu(float gradScale, float decay, float rate, float eps)
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
    long sum = Ram.address(requireNonNull(kept[0]), at, bytes);
    FloatVector scale = Lanes.broadcast(gradScale);
    FloatVector decays = Lanes.broadcast(decay);
    FloatVector rates = Lanes.broadcast(rate);
    FloatVector beyond = Lanes.broadcast(eps);
    for (int i = 0; i < bytes; i += Lanes.BYTES) {
      FloatVector w0 = Lanes.load(w + i);
      FloatVector g = Lanes.load(grad + i).mul(scale).add(w0.mul(decays));
      FloatVector s = Lanes.load(sum + i).add(g.mul(g));
      Lanes.store(s, sum + i);
      Lanes.store(w0.sub(g.mul(rates).div(s.sqrt().add(beyond))), w + i);
    }
  }
}
