package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * SGD: {@code g = gradScale·grad + decay·w; v = momentum·v + take·g; w -= ofGradient·g +
 * ofVelocity·v}. Keeps v, or nothing: then {@code w -= ofGradient·g}.
 *
 * @param gradScale factor on every gradient: clip factor / loss scale
 * @param decay weight decay
 * @param momentum decay of the velocity
 * @param take what the gradient adds to it: 1 - dampening, in the first step 1
 * @param ofGradient the learning rate, 0 with momentum that is not Nesterov's
 * @param ofVelocity the learning rate, times the momentum where it is Nesterov's
 */
public record SgdCpu(
    float gradScale, float decay, float momentum, float take, float ofGradient, float ofVelocity)
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
    long v = kept[0] == null ? 0 : Ram.address(kept[0], at, bytes);
    if (v == 0) {
      plain(w, grad, bytes);
      return;
    }
    FloatVector scale = Lanes.broadcast(gradScale);
    FloatVector decays = Lanes.broadcast(decay);
    FloatVector mu = Lanes.broadcast(momentum);
    FloatVector takes = Lanes.broadcast(take);
    FloatVector gradients = Lanes.broadcast(ofGradient);
    FloatVector velocities = Lanes.broadcast(ofVelocity);
    for (int i = 0; i < bytes; i += Lanes.BYTES) {
      FloatVector w0 = Lanes.load(w + i);
      FloatVector g = Lanes.load(grad + i).mul(scale).add(w0.mul(decays));
      FloatVector v1 = Lanes.load(v + i).mul(mu).add(g.mul(takes));
      Lanes.store(v1, v + i);
      Lanes.store(w0.sub(g.mul(gradients).add(v1.mul(velocities))), w + i);
    }
  }

  private void plain(long w, long grad, int bytes) {
    FloatVector scale = Lanes.broadcast(gradScale);
    FloatVector decays = Lanes.broadcast(decay);
    FloatVector gradients = Lanes.broadcast(ofGradient);
    for (int i = 0; i < bytes; i += Lanes.BYTES) {
      FloatVector w0 = Lanes.load(w + i);
      FloatVector g = Lanes.load(grad + i).mul(scale).add(w0.mul(decays));
      Lanes.store(w0.sub(g.mul(gradients)), w + i);
    }
  }
}
