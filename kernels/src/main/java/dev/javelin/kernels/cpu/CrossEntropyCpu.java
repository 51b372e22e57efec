package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static jdk.incubator.vector.VectorOperators.GT;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/**
 * Cross-entropy of rows of logits. A row is read from memory once; its largest logit and the sum of
 * its exponentials are what the gradient needs besides.
 */
public final class CrossEntropyCpu {
  private CrossEntropyCpu() {}

  /**
   * The form of the loss.
   *
   * @param ignoreIndex rows with this target have loss and gradient 0
   * @param labelSmoothing share of the target's weight that goes to all classes evenly
   * @param zLoss factor of lse²
   * @param softCap logits become {@code softCap·tanh(logits/softCap)} first; 0 for no cap
   */
  public record Form(int ignoreIndex, float labelSmoothing, float zLoss, float softCap) {}

  /**
   * {@code losses[r] = (1-ls)·(lse - x[t]) + ls·(lse - mean(x)) + z·lse²}.
   *
   * @param losses fp32 [rows]
   * @param stats fp32 [rows, 2]: {@code max = max(x)} and {@code sum = Σ exp(x - max)}, so that lse
   *     = max + ln(sum); two numbers, because one rounded lse would spoil the gradient of large
   *     logits
   * @param logits {@code type} [rows, cols], {@code stride} elements between rows
   * @param targets i32 [rows]
   */
  public static void forward(
      Cpu cpu,
      MemorySegment losses,
      MemorySegment stats,
      MemorySegment logits,
      long stride,
      DType type,
      MemorySegment targets,
      int rows,
      int cols,
      Form form) {
    Rows in = new Rows(logits, type, stride, cols, 0);
    int slot = 4 * Lanes.pad(cols);
    cpu.parallel(
        rows,
        Rows.grain(cols),
        (from, to) -> {
          MemorySegment scratch = cpu.scratch(Rows.scratchBytes(cols, 2));
          for (int r = from; r < to; r++) {
            int target = targets.getAtIndex(JAVA_INT_UNALIGNED, r);
            if (target == form.ignoreIndex) {
              put(losses, r, 0);
              put(stats, 2L * r, 0);
              put(stats, 2L * r + 1, 1);
              continue;
            }
            MemorySegment x = in.segment(scratch);
            long at = in.load(r, scratch);
            if (form.softCap > 0) {
              cap(scratch, slot, x, at, cols, form.softCap);
              x = scratch;
              at = slot;
            }
            pad(x, at, cols);
            float max = max(x, at, slot);
            float sum = sumOfExponentials(x, at, slot, max);
            put(stats, 2L * r, max);
            put(stats, 2L * r + 1, sum);
            put(losses, r, loss(x, at, cols, target, max, sum, form));
          }
        });
  }

  /**
   * {@code dx[j] (+)= dy·((1 + 2·z·lse)·p[j] - ls/cols - (1-ls)·[j = t])} with {@code p[j] =
   * exp(x[j] - max)/sum}, and times {@code 1 - (x[j]/softCap)²} under a soft cap. Where {@code dx}
   * is {@code logits}, works in place.
   *
   * @param dy fp32 [rows]
   */
  public static void backward(
      Cpu cpu,
      MemorySegment dx,
      long dxStride,
      boolean accumulate,
      MemorySegment dy,
      MemorySegment logits,
      long stride,
      DType type,
      MemorySegment targets,
      MemorySegment stats,
      int rows,
      int cols,
      Form form) {
    Rows in = new Rows(logits, type, stride, cols, 0);
    Rows out = new Rows(dx, type, dxStride, cols, 1);
    int slot = 4 * Lanes.pad(cols);
    cpu.parallel(
        rows,
        Rows.grain(cols),
        (from, to) -> {
          MemorySegment scratch = cpu.scratch(Rows.scratchBytes(cols, 4));
          for (int r = from; r < to; r++) {
            long d = out.target(r, accumulate, scratch);
            MemorySegment ds = out.segment(scratch);
            int target = targets.getAtIndex(JAVA_INT_UNALIGNED, r);
            if (target == form.ignoreIndex) {
              if (!accumulate) {
                ds.asSlice(d, slot).fill((byte) 0);
              }
            } else {
              MemorySegment x = in.segment(scratch);
              long at = in.load(r, scratch);
              if (form.softCap > 0) {
                cap(scratch, 2L * slot, x, at, cols, form.softCap);
                x = scratch;
                at = 2L * slot;
              }
              float max = get(stats, 2L * r);
              float sum = get(stats, 2L * r + 1);
              gradient(
                  ds,
                  d,
                  accumulate,
                  scratch,
                  3L * slot,
                  x,
                  at,
                  cols,
                  target,
                  max,
                  sum,
                  get(dy, r),
                  form);
            }
            out.store(r, scratch);
          }
        });
  }

  /** {@code loss = weight · Σ losses}, summed in double in the order of the rows. */
  public static double total(MemorySegment losses, MemorySegment weight, long n) {
    double sum = 0;
    for (long i = 0; i < n; i++) {
      sum += get(losses, i);
    }
    return sum * get(weight, 0);
  }

  /** {@code y = cap·tanh(x/cap)}. */
  private static void cap(
      MemorySegment y, long yAt, MemorySegment x, long xAt, int cols, float cap) {
    FloatVector c = Lanes.broadcast(cap);
    FloatVector inverse = Lanes.broadcast(1 / cap);
    for (long i = 0; i < 4L * Lanes.pad(cols); i += Lanes.BYTES) {
      Lanes.store(VectorMath.tanh(Lanes.load(x, xAt + i).mul(inverse)).mul(c), y, yAt + i);
    }
  }

  /** Padding that adds nothing to a sum of exponentials and is never the largest. */
  private static void pad(MemorySegment x, long at, int cols) {
    for (int i = cols; i < Lanes.pad(cols); i++) {
      x.set(JAVA_FLOAT_UNALIGNED, at + 4L * i, Float.NEGATIVE_INFINITY);
    }
  }

  private static float max(MemorySegment x, long at, int bytes) {
    FloatVector a = Lanes.broadcast(Float.NEGATIVE_INFINITY);
    FloatVector b = a;
    long i = 0;
    for (; i + 2L * Lanes.BYTES <= bytes; i += 2L * Lanes.BYTES) {
      FloatVector u = Lanes.load(x, at + i);
      FloatVector v = Lanes.load(x, at + i + Lanes.BYTES);
      a = a.blend(u, u.compare(GT, a));
      b = b.blend(v, v.compare(GT, b));
    }
    if (i < bytes) {
      FloatVector u = Lanes.load(x, at + i);
      a = a.blend(u, u.compare(GT, a));
    }
    return Lanes.max(a.max(b));
  }

  private static float sumOfExponentials(MemorySegment x, long at, int bytes, float max) {
    FloatVector m = Lanes.broadcast(max);
    FloatVector sum = Lanes.zero();
    for (long i = 0; i < bytes; i += Lanes.BYTES) {
      sum = sum.add(VectorMath.expOfNegative(Lanes.load(x, at + i).sub(m)));
    }
    return Lanes.sum(sum);
  }

  private static float loss(
      MemorySegment x, long at, int cols, int target, float max, float sum, Form form) {
    float logSum = VectorMath.log(sum);
    float loss = logSum - (x.get(JAVA_FLOAT_UNALIGNED, at + 4L * target) - max);
    if (form.labelSmoothing > 0) {
      float even = logSum + sumBelow(x, at, cols, max) / cols;
      loss += form.labelSmoothing * (even - loss);
    }
    float lse = max + logSum;
    return loss + form.zLoss * lse * lse;
  }

  /** {@code Σ (max - x)}; the padding is not part of it. */
  private static float sumBelow(MemorySegment x, long at, int cols, float max) {
    FloatVector m = Lanes.broadcast(max);
    FloatVector sum = Lanes.zero();
    int whole = Lanes.SPECIES.loopBound(cols);
    for (int i = 0; i < whole; i += Lanes.COUNT) {
      sum = sum.add(m.sub(Lanes.load(x, at + 4L * i)));
    }
    float rest = 0;
    for (int i = whole; i < cols; i++) {
      rest += max - x.get(JAVA_FLOAT_UNALIGNED, at + 4L * i);
    }
    return Lanes.sum(sum) + rest;
  }

  private static void gradient(
      MemorySegment d,
      long dAt,
      boolean accumulate,
      MemorySegment spare,
      long spareAt,
      MemorySegment x,
      long at,
      int cols,
      int target,
      float max,
      float sum,
      float dy,
      Form form) {
    int bytes = 4 * Lanes.pad(cols);
    float lse = max + VectorMath.log(sum);
    float a = dy * (1 + 2 * form.zLoss * lse) / sum;
    float b = dy * form.labelSmoothing / cols;
    float atTarget = dy * (1 - form.labelSmoothing);
    long t = 4L * target;
    if (form.softCap == 0 && !accumulate) {
      exponentials(d, dAt, x, at, bytes, max, a, b);
    } else {
      float inverse = form.softCap > 0 ? 1 / form.softCap : 0;
      float u = x.get(JAVA_FLOAT_UNALIGNED, at + t) * inverse;
      atTarget *= 1 - u * u;
      exponentials(spare, spareAt, x, at, bytes, max, a, b);
      for (long i = 0; i < bytes; i += Lanes.BYTES) {
        FloatVector c = Lanes.load(x, at + i).mul(inverse);
        FloatVector slope = Lanes.broadcast(1).sub(c.mul(c));
        Lanes.store(Lanes.load(spare, spareAt + i).mul(slope), spare, spareAt + i);
      }
      for (long i = 0; i < bytes; i += Lanes.BYTES) {
        FloatVector before = accumulate ? Lanes.load(d, dAt + i) : Lanes.zero();
        Lanes.store(Lanes.load(spare, spareAt + i).add(before), d, dAt + i);
      }
    }
    d.set(JAVA_FLOAT_UNALIGNED, dAt + t, d.get(JAVA_FLOAT_UNALIGNED, dAt + t) - atTarget);
  }

  /** {@code d = a·exp(x - max) - b}. */
  private static void exponentials(
      MemorySegment d, long dAt, MemorySegment x, long at, int bytes, float max, float a, float b) {
    FloatVector m = Lanes.broadcast(max);
    FloatVector factor = Lanes.broadcast(a);
    FloatVector less = Lanes.broadcast(b);
    for (long i = 0; i < bytes; i += Lanes.BYTES) {
      FloatVector e = VectorMath.expOfNegative(Lanes.load(x, at + i).sub(m));
      Lanes.store(e.mul(factor).sub(less), d, dAt + i);
    }
  }

  private static float get(MemorySegment s, long i) {
    return s.getAtIndex(JAVA_FLOAT_UNALIGNED, i);
  }

  private static void put(MemorySegment s, long i, float value) {
    s.setAtIndex(JAVA_FLOAT_UNALIGNED, i, value);
  }
}
