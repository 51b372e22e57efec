package dev.javelin.kernels.cpu;

import static java.util.Objects.requireNonNull;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/** What Muon does element by element. */
public final class MuonCpu {
  private MuonCpu() {}

  /**
   * {@code g = gradScale·grad; m = mu·m + fresh·g; x = fresh·g + mu·m} with Nesterov's form, else
   * {@code m}. Keeps m and x, and leaves the weights alone.
   */
  public static UpdateCpu.Rule momentum(float gradScale, float mu, float fresh, boolean nesterov) {
    return (w, grad, kept, at, bytes) -> {
      MemorySegment moment = requireNonNull(kept[0]);
      MemorySegment x = requireNonNull(kept[1]);
      FloatVector scale = Lanes.broadcast(gradScale);
      FloatVector decay = Lanes.broadcast(mu);
      FloatVector part = Lanes.broadcast(fresh);
      for (long i = at; i < at + bytes; i += Lanes.BYTES) {
        FloatVector g = Lanes.load(grad, i).mul(scale).mul(part);
        FloatVector m = Lanes.load(moment, i).mul(decay).add(g);
        Lanes.store(m, moment, i);
        Lanes.store(nesterov ? m.mul(decay).add(g) : m, x, i);
      }
    };
  }

  /** {@code w = decay·w - rate·x}. Keeps x. */
  public static UpdateCpu.Rule descent(float decay, float rate) {
    return (w, grad, kept, at, bytes) -> {
      MemorySegment x = requireNonNull(kept[0]);
      FloatVector kept1 = Lanes.broadcast(decay);
      FloatVector step = Lanes.broadcast(rate);
      for (long i = at; i < at + bytes; i += Lanes.BYTES) {
        Lanes.store(Lanes.load(w, i).mul(kept1).sub(Lanes.load(x, i).mul(step)), w, i);
      }
    };
  }
}
