package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.util.Objects.requireNonNull;
import static jdk.incubator.vector.VectorOperators.LT;

import dev.javelin.device.Cpu;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * Sophia: {@code g = gradScale·grad; m = beta1·m + (1-beta1)·g; w = decay·w - lr·clip(m /
 * max(curvature·h, eps), -1, 1)}. Keeps m and h.
 *
 * @param gradScale factor on every gradient: clip factor / loss scale
 * @param decay factor on the weight: 1 - lr·weightDecay
 * @param beta1 decay of the momentum
 * @param lr the learning rate
 * @param curvature factor on h: rho times the targets of the step
 * @param eps the least divisor
 */
public record SophiaCpu(
    float gradScale, float decay, float beta1, float lr, float curvature, float eps)
    implements UpdateCpu.Rule {
  private static final int PIECE = 1 << 14; // elements

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
    long h = Ram.address(requireNonNull(kept[1]), at, bytes);
    FloatVector scale = Lanes.broadcast(gradScale);
    FloatVector decays = Lanes.broadcast(decay);
    FloatVector b1 = Lanes.broadcast(beta1);
    FloatVector oneMinusB1 = Lanes.broadcast(1 - beta1);
    FloatVector rate = Lanes.broadcast(lr);
    FloatVector curve = Lanes.broadcast(curvature);
    FloatVector least = Lanes.broadcast(eps);
    FloatVector one = Lanes.broadcast(1);
    FloatVector minusOne = Lanes.broadcast(-1);
    for (int i = 0; i < bytes; i += Lanes.BYTES) {
      FloatVector g = Lanes.load(grad + i).mul(scale);
      FloatVector m1 = Lanes.load(m + i).mul(b1).add(g.mul(oneMinusB1));
      Lanes.store(m1, m + i);
      FloatVector ratio = m1.div(Lanes.larger(Lanes.load(h + i).mul(curve), least));
      FloatVector clipped = Lanes.smaller(Lanes.larger(ratio, minusOne), one);
      Lanes.store(Lanes.load(w + i).mul(decays).sub(clipped.mul(rate)), w + i);
    }
  }

  /**
   * {@code g = grad·scale; h = beta2·h + (1-beta2)·g²; grad = 0} for n elements. Where g² is not
   * finite, h stays.
   */
  public static void estimate(
      Cpu cpu, MemorySegment h, MemorySegment grad, float scale, float beta2, long n) {
    cpu.parallel(
        Math.toIntExact((n + PIECE - 1) / PIECE),
        1,
        (first, last) -> {
          for (int p = first; p < last; p++) {
            long from = (long) p * PIECE;
            int count = (int) Math.min(PIECE, n - from);
            long of = Ram.address(grad, 4 * from, 4L * count);
            estimate(Ram.address(h, 4 * from, 4L * count), of, scale, beta2, count);
            Ram.ALL.asSlice(of, 4L * count).fill((byte) 0);
          }
        });
  }

  private static void estimate(long h, long grad, float scale, float beta2, int n) {
    FloatVector scales = Lanes.broadcast(scale);
    FloatVector b2 = Lanes.broadcast(beta2);
    FloatVector oneMinusB2 = Lanes.broadcast(1 - beta2);
    int whole = Lanes.SPECIES.loopBound(n);
    for (int i = 0; i < 4 * whole; i += Lanes.BYTES) {
      FloatVector g = Lanes.load(grad + i).mul(scales);
      FloatVector before = Lanes.load(h + i);
      FloatVector square = g.mul(g);
      FloatVector after = before.mul(b2).add(square.mul(oneMinusB2));
      Lanes.store(before.blend(after, square.compare(LT, Float.POSITIVE_INFINITY)), h + i);
    }
    for (int i = whole; i < n; i++) {
      float g = Ram.ALL.get(JAVA_FLOAT_UNALIGNED, grad + 4L * i) * scale;
      if (g * g < Float.POSITIVE_INFINITY) {
        float before = Ram.ALL.get(JAVA_FLOAT_UNALIGNED, h + 4L * i);
        Ram.ALL.set(JAVA_FLOAT_UNALIGNED, h + 4L * i, before * beta2 + g * g * (1 - beta2));
      }
    }
  }
}
