package dev.javelin.kernels.cpu;

import static java.util.Objects.requireNonNull;

import jdk.incubator.vector.FloatVector;

/** What Muon does element by element. */
public final class MuonCpu {
  private MuonCpu() {}

  /**
   * {@code g = gradScale·grad; m = mu·m + fresh·g; x = fresh·g + mu·m} with Nesterov's form, else
   * {@code m}. Keeps m and x, and leaves the weights alone.
   */
  public static UpdateCpu.Rule momentum(float gradScale, float mu, float fresh, boolean nesterov) {
    return (_, grads, kept, at, bytes) -> {
      long moment = Ram.address(requireNonNull(kept[0]), at, bytes);
      long x = Ram.address(requireNonNull(kept[1]), at, bytes);
      long grad = Ram.address(grads, at, bytes);
      FloatVector scale = Lanes.broadcast(gradScale);
      FloatVector decay = Lanes.broadcast(mu);
      FloatVector part = Lanes.broadcast(fresh);
      for (int i = 0; i < bytes; i += Lanes.BYTES) {
        FloatVector g = Lanes.load(grad + i).mul(scale).mul(part);
        FloatVector m = Lanes.load(moment + i).mul(decay).add(g);
        Lanes.store(m, moment + i);
        Lanes.store(nesterov ? m.mul(decay).add(g) : m, x + i);
      }
    };
  }

  /** {@code w = decay·w - rate·x}. Keeps x. */
  public static UpdateCpu.Rule descent(float decay, float rate) {
    return (weights, _, kept, at, bytes) -> {
      long w = Ram.address(weights, at, bytes);
      long x = Ram.address(requireNonNull(kept[0]), at, bytes);
      FloatVector kept1 = Lanes.broadcast(decay);
      FloatVector step = Lanes.broadcast(rate);
      for (int i = 0; i < bytes; i += Lanes.BYTES) {
        Lanes.store(Lanes.load(w + i).mul(kept1).sub(Lanes.load(x + i).mul(step)), w + i);
      }
    };
  }
}
