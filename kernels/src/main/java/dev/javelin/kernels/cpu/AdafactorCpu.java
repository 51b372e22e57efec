package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/** What Adafactor does element by element. */
public final class AdafactorCpu {
  private AdafactorCpu() {}

  /** {@code r += share·(sum·mean + floor - r)}, with r for the weights, sums for the gradients. */
  public static UpdateCpu.Rule moment(float share, float mean, float floor) {
    return (r, sums, kept, at, bytes) -> {
      FloatVector part = Lanes.broadcast(share);
      FloatVector factor = Lanes.broadcast(mean);
      FloatVector least = Lanes.broadcast(floor);
      for (long i = at; i < at + bytes; i += Lanes.BYTES) {
        FloatVector before = Lanes.load(r, i);
        FloatVector now = Lanes.load(sums, i).mul(factor).add(least);
        Lanes.store(now.sub(before).mul(part).add(before), r, i);
      }
    };
  }

  /**
   * {@code m = beta1·m + (1-beta1)·rate·u; w = decay·w - m}, u in place of the gradients. Keeps m,
   * or nothing where beta1 is 0.
   */
  public static UpdateCpu.Rule step(float decay, float rate, float beta1) {
    return (w, u, kept, at, bytes) -> {
      @Nullable MemorySegment moment = kept[0];
      FloatVector factor = Lanes.broadcast(decay);
      FloatVector scale = Lanes.broadcast(rate);
      FloatVector old = Lanes.broadcast(beta1);
      FloatVector fresh = Lanes.broadcast(1 - beta1);
      for (long i = at; i < at + bytes; i += Lanes.BYTES) {
        FloatVector m = Lanes.load(u, i).mul(scale);
        if (moment != null) {
          m = m.mul(fresh).add(Lanes.load(moment, i).mul(old));
          Lanes.store(m, moment, i);
        }
        Lanes.store(Lanes.load(w, i).mul(factor).sub(m), w, i);
      }
    };
  }
}
