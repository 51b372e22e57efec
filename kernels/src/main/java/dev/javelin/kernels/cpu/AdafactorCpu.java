package dev.javelin.kernels.cpu;

import jdk.incubator.vector.FloatVector;

/** What Adafactor does element by element. */
public final class AdafactorCpu {
  private AdafactorCpu() {}

  /** {@code r += share·(sum·mean + floor - r)}, with r for the weights, sums for the gradients. */
  public static UpdateCpu.Rule moment(float share, float mean, float floor) {
    return (moments, allSums, _, at, bytes) -> {
      long r = Ram.address(moments, at, bytes);
      long sums = Ram.address(allSums, at, bytes);
      FloatVector part = Lanes.broadcast(share);
      FloatVector factor = Lanes.broadcast(mean);
      FloatVector least = Lanes.broadcast(floor);
      for (int i = 0; i < bytes; i += Lanes.BYTES) {
        FloatVector before = Lanes.load(r + i);
        FloatVector now = Lanes.load(sums + i).mul(factor).add(least);
        Lanes.store(now.sub(before).mul(part).add(before), r + i);
      }
    };
  }

  /**
   * {@code m = beta1·m + (1-beta1)·rate·u; w = decay·w - m}, u in place of the gradients. Keeps m,
   * or nothing where beta1 is 0.
   */
  public static UpdateCpu.Rule step(float decay, float rate, float beta1) {
    return (weights, updates, kept, at, bytes) -> {
      long w = Ram.address(weights, at, bytes);
      long u = Ram.address(updates, at, bytes);
      long moment = kept[0] == null ? 0 : Ram.address(kept[0], at, bytes);
      FloatVector factor = Lanes.broadcast(decay);
      FloatVector scale = Lanes.broadcast(rate);
      FloatVector old = Lanes.broadcast(beta1);
      FloatVector fresh = Lanes.broadcast(1 - beta1);
      for (int i = 0; i < bytes; i += Lanes.BYTES) {
        FloatVector m = Lanes.load(u + i).mul(scale);
        if (moment != 0) {
          m = m.mul(fresh).add(Lanes.load(moment + i).mul(old));
          Lanes.store(m, moment + i);
        }
        Lanes.store(Lanes.load(w + i).mul(factor).sub(m), w + i);
      }
    };
  }
}
