package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.kernels.CrossEntropyForm;
import java.lang.foreign.MemorySegment;

/**
 * Cross-entropy of rows of logits. A row is read from memory once; its largest logit and the sum of
 * its exponentials are what the gradient needs besides.
 */
public final class CrossEntropyCpu {
  private CrossEntropyCpu() {}

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
      CrossEntropyForm form) {
    Rows in = new Rows(logits, type, stride, cols, 0);
    RowPass<CrossEntropyRow> cap = CrossEntropyRow::cap;
    RowPass<CrossEntropyRow> max = CrossEntropyRow::max;
    RowPass<CrossEntropyRow> exponentials = CrossEntropyRow::sumOfExponentials;
    RowPass<CrossEntropyRow> rest = CrossEntropyRow::restOfExponentials;
    RowPass<CrossEntropyRow> logarithms = CrossEntropyRow::logarithms;
    RowPass<CrossEntropyRow> below = CrossEntropyRow::sumBelow;
    boolean overlapping = type == DType.F32 && cols >= Lanes.COUNT; // vectors, in place of padding
    boolean capped = form.softCap() > 0;
    int block = capped ? 1 : Rows.block(cols);
    cpu.parallel(
        rows,
        Rows.grain(cols),
        () -> new CrossEntropyRow(cpu.scratch(Rows.blockBytes(cols, 2)), cols, block),
        (row, from, to) -> {
          for (int r = from; r < to; r += block) {
            row.rows = Math.min(block, to - r);
            if (capped) {
              load(row, in, r, Rows.scratchBytes(cols, 1), form, cap);
              row.pad();
            } else if (overlapping) {
              row.x = logits;
              row.xStep = 4 * stride;
              row.xAt = 4 * stride * r;
            } else {
              row.x = in.segment(row.scratch);
              row.xStep = in.step();
              row.xAt = in.loadBlock(r, row.rows, Float.NEGATIVE_INFINITY, row.scratch);
            }
            RowPass.run(max, row);
            RowPass.run(exponentials, row);
            if (cols % Lanes.COUNT != 0) {
              RowPass.run(rest, row);
            }
            RowPass.run(logarithms, row);
            if (form.labelSmoothing() > 0) {
              RowPass.run(below, row);
            }
            for (int i = 0; i < row.rows; i++) {
              finish(losses, stats, row, r + i, i, targets, cols, form);
            }
          }
        });
  }

  private static void finish(
      MemorySegment losses,
      MemorySegment stats,
      CrossEntropyRow row,
      int r,
      int i,
      MemorySegment targets,
      int cols,
      CrossEntropyForm form) {
    int target = targets.getAtIndex(JAVA_INT_UNALIGNED, r);
    boolean ignored = target == form.ignoreIndex();
    put(stats, 2L * r, ignored ? 0 : row.max[i]);
    put(stats, 2L * r + 1, ignored ? 1 : row.sum[i]);
    put(losses, r, ignored ? 0 : loss(row, i, target, cols, form));
  }

  /**
   * {@code dx[j] (+)= dy·((1 + 2·z·lse)·p[j] - ls/cols - (1-ls)·[j = t])} with {@code p[j] =
   * exp(x[j] - max)/sum}, and times {@code 1 - (x[j]/softCap)²} under a soft cap. Where {@code dx}
   * is {@code logits}, works in place; the rows may then be of another type, as long as each begins
   * where it did.
   *
   * @param dxType of {@code dx}
   * @param dy fp32 [rows]
   */
  public static void backward(
      Cpu cpu,
      MemorySegment dx,
      DType dxType,
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
      CrossEntropyForm form) {
    Rows in = new Rows(logits, type, stride, cols, 0);
    Rows out = new Rows(dx, dxType, dxStride, cols, 1);
    RowPass<CrossEntropyRow> cap = CrossEntropyRow::cap;
    RowPass<CrossEntropyRow> gradient = CrossEntropyRow::gradient;
    RowPass<CrossEntropyRow> slope = CrossEntropyRow::slope;
    RowPass<CrossEntropyRow> add = CrossEntropyRow::add;
    cpu.parallel(
        rows,
        Rows.grain(cols),
        () -> new CrossEntropyRow(cpu.scratch(Rows.scratchBytes(cols, 4)), cols, 1),
        (row, from, to) -> {
          MemorySegment scratch = row.scratch;
          MemorySegment result = out.segment(scratch);
          for (int r = from; r < to; r++) {
            long at = out.target(r, accumulate, scratch);
            int target = targets.getAtIndex(JAVA_INT_UNALIGNED, r);
            if (target == form.ignoreIndex()) {
              if (!accumulate) {
                result.asSlice(at, 4L * cols).fill((byte) 0);
              }
              out.store(r, scratch);
              continue;
            }
            load(row, in, r, Rows.scratchBytes(cols, 2), form, cap);
            row.d = accumulate ? scratch : result;
            row.dAt = accumulate ? Rows.scratchBytes(cols, 3) : at;
            prepare(row, get(stats, 2L * r), get(stats, 2L * r + 1), get(dy, r), cols, form);
            RowPass.run(gradient, row);
            row.subtractFromGradient(target, get(dy, r) * (1 - form.labelSmoothing()));
            if (form.softCap() > 0) {
              RowPass.run(slope, row);
            }
            if (accumulate) {
              row.other = result;
              row.otherAt = at;
              RowPass.run(add, row);
            }
            out.store(r, scratch);
          }
        });
  }

  /** Row {@code r} of the logits, under a soft cap where the form has one: then in {@code slot}. */
  private static void load(
      CrossEntropyRow row,
      Rows in,
      int r,
      long slot,
      CrossEntropyForm form,
      RowPass<CrossEntropyRow> cap) {
    MemorySegment scratch = row.scratch;
    row.x = in.segment(scratch);
    row.xAt = in.load(r, scratch);
    if (form.softCap() > 0) {
      row.softCap = form.softCap();
      row.other = scratch;
      row.otherAt = slot;
      RowPass.run(cap, row);
      row.x = scratch;
      row.xAt = slot;
    }
  }

  private static void prepare(
      CrossEntropyRow row, float max, float sum, float dy, int cols, CrossEntropyForm form) {
    double slope = form.zLoss() == 0 ? 0 : 2 * form.zLoss() * (max + (double) VectorMath.log(sum));
    row.max[0] = max;
    row.factor = (float) (dy * (1 + slope) / sum);
    row.less = dy * form.labelSmoothing() / cols;
  }

  private static float loss(
      CrossEntropyRow row, int i, int target, int cols, CrossEntropyForm form) {
    double logSum = row.logSum[i];
    double loss = logSum - (row.element(i, target) - row.max[i]);
    if (form.labelSmoothing() > 0) {
      double even = logSum + row.below[i] / cols;
      loss += form.labelSmoothing() * (even - loss);
    }
    double lse = row.max[i] + logSum;
    return (float) (loss + form.zLoss() * lse * lse);
  }

  /** {@code loss = weight · Σ losses}, summed in double in the order of the rows. */
  public static double total(MemorySegment losses, MemorySegment weight, long n) {
    double sum = 0;
    for (long i = 0; i < n; i++) {
      sum += get(losses, i);
    }
    return sum * get(weight, 0);
  }

  private static float get(MemorySegment s, long i) {
    return s.getAtIndex(JAVA_FLOAT_UNALIGNED, i);
  }

  private static void put(MemorySegment s, long i, float value) {
    s.setAtIndex(JAVA_FLOAT_UNALIGNED, i, value);
  }
}
