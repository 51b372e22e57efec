package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.util.Objects.requireNonNull;

import dev.javelin.device.Cpu;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * LAMB in two passes over a parameter: {@link #trust} moves the moments and measures, the rule then
 * takes {@code w -= rate·u} with {@code u = m·bias1 / (sqrt(v)·rootBias + eps) + decay·w}. Keeps m
 * and v.
 *
 * @param rate the learning rate times the trust ratio
 */
public record LambCpu(Constants c, float rate) implements UpdateCpu.Rule {
  private static final int PIECE = 1 << 14; // elements
  private static final int RUN = 64; // vectors that are added in fp32

  /**
   * Everything about a step that is the same for all elements of a parameter.
   *
   * @param gradScale factor on every gradient: clip factor / loss scale
   * @param decay weight decay, part of the direction
   * @param beta1 decay of the first moment
   * @param beta2 decay of the second moment
   * @param bias1 1 / (1 - beta1^t)
   * @param rootBias 1 / sqrt(1 - beta2^t)
   * @param eps added to the root of the corrected second moment
   */
  public record Constants(
      float gradScale,
      float decay,
      float beta1,
      float beta2,
      float bias1,
      float rootBias,
      float eps) {}

  @Override
  public void apply(
      MemorySegment weights,
      MemorySegment grads,
      @Nullable MemorySegment[] kept,
      long at,
      int bytes) {
    long w = Ram.address(weights, at, bytes);
    long m = Ram.address(requireNonNull(kept[0]), at, bytes);
    long v = Ram.address(requireNonNull(kept[1]), at, bytes);
    FloatVector step = Lanes.broadcast(rate);
    FloatVector decays = Lanes.broadcast(c.decay);
    FloatVector first = Lanes.broadcast(c.bias1);
    FloatVector root = Lanes.broadcast(c.rootBias);
    FloatVector beyond = Lanes.broadcast(c.eps);
    for (int i = 0; i < bytes; i += Lanes.BYTES) {
      FloatVector w0 = Lanes.load(w + i);
      FloatVector ratio =
          Lanes.load(m + i).mul(first).div(Lanes.load(v + i).sqrt().mul(root).add(beyond));
      Lanes.store(w0.sub(ratio.add(w0.mul(decays)).mul(step)), w + i);
    }
  }

  /**
   * {@code g = gradScale·grad; m += (1-beta1)·(g-m); v = beta2·v + (1-beta2)·g²} for {@code [from,
   * to)}; gradients and weights stay.
   *
   * @return {@code |w| / |u|}, 1 where either is 0
   */
  public static float trust(Cpu cpu, UpdateCpu.Buffers b, Constants c, long from, long to) {
    int pieces = Math.toIntExact((to - from + PIECE - 1) / PIECE);
    double[] sums = new double[2 * pieces];
    cpu.parallel(
        pieces,
        1,
        (first, last) -> {
          for (int p = first; p < last; p++) {
            long begin = from + (long) p * PIECE;
            piece(cpu, b, c, begin, (int) Math.min(PIECE, to - begin), sums, 2 * p);
          }
        });
    double w2 = 0;
    double u2 = 0;
    for (int p = 0; p < pieces; p++) {
      w2 += sums[2 * p];
      u2 += sums[2 * p + 1];
    }
    return w2 > 0 && u2 > 0 ? (float) Math.sqrt(w2 / u2) : 1;
  }

  private static void piece(
      Cpu cpu, UpdateCpu.Buffers b, Constants c, long from, int n, double[] sums, int to) {
    long at = Float.BYTES * from;
    int end = Float.BYTES * n;
    MemorySegment weights = b.w();
    if (weights == null) {
      weights = cpu.scratch((long) Float.BYTES * PIECE);
      Half.widen(weights, 0, b.copy(), b.type().bytes(from), b.type(), n);
    }
    long w = Ram.address(weights, b.w() == null ? 0 : at, end);
    long grad = Ram.address(b.grad(), at, end);
    long m = Ram.address(requireNonNull(b.kept().get(0)), at, end);
    long v = Ram.address(requireNonNull(b.kept().get(1)), at, end);
    FloatVector scale = Lanes.broadcast(c.gradScale);
    FloatVector decays = Lanes.broadcast(c.decay);
    FloatVector oneMinusBeta1 = Lanes.broadcast(1 - c.beta1);
    FloatVector beta2 = Lanes.broadcast(c.beta2);
    FloatVector oneMinusBeta2 = Lanes.broadcast(1 - c.beta2);
    FloatVector bias1 = Lanes.broadcast(c.bias1);
    FloatVector root = Lanes.broadcast(c.rootBias);
    FloatVector beyond = Lanes.broadcast(c.eps);
    double w2 = 0;
    double u2 = 0;
    int i = 0;
    while (i + Lanes.BYTES <= end) {
      FloatVector ws = Lanes.zero();
      FloatVector us = Lanes.zero();
      int run = Math.min(end - Lanes.BYTES, i + (RUN - 1) * Lanes.BYTES);
      for (; i <= run; i += Lanes.BYTES) {
        FloatVector g = Lanes.load(grad + i).mul(scale);
        FloatVector m0 = Lanes.load(m + i);
        FloatVector m1 = g.sub(m0).fma(oneMinusBeta1, m0);
        FloatVector v1 = Lanes.load(v + i).mul(beta2).add(g.mul(g).mul(oneMinusBeta2));
        Lanes.store(m1, m + i);
        Lanes.store(v1, v + i);
        FloatVector wi = Lanes.load(w + i);
        FloatVector u = m1.mul(bias1).div(v1.sqrt().mul(root).add(beyond)).add(wi.mul(decays));
        ws = Lanes.TYPE.cast(ws).add(wi.mul(wi));
        us = Lanes.TYPE.cast(us).add(u.mul(u));
      }
      w2 += Lanes.sum(ws);
      u2 += Lanes.sum(us);
    }
    for (; i < end; i += Float.BYTES) {
      float g = Ram.ALL.get(JAVA_FLOAT_UNALIGNED, grad + i) * c.gradScale;
      float m0 = Ram.ALL.get(JAVA_FLOAT_UNALIGNED, m + i);
      float m1 = Math.fma(g - m0, 1 - c.beta1, m0);
      float v1 = Ram.ALL.get(JAVA_FLOAT_UNALIGNED, v + i) * c.beta2 + g * g * (1 - c.beta2);
      Ram.ALL.set(JAVA_FLOAT_UNALIGNED, m + i, m1);
      Ram.ALL.set(JAVA_FLOAT_UNALIGNED, v + i, v1);
      float wi = Ram.ALL.get(JAVA_FLOAT_UNALIGNED, w + i);
      float u = m1 * c.bias1 / ((float) Math.sqrt(v1) * c.rootBias + c.eps) + wi * c.decay;
      w2 += (double) wi * wi;
      u2 += (double) u * u;
    }
    sums[to] = w2;
    sums[to + 1] = u2;
  }
}
