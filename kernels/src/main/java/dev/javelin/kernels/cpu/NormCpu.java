package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import dev.javelin.device.Cpu;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * RMS and layer normalisation of rows, with or without a residual addition before it. One loop for
 * all four, since RMS normalisation is layer normalisation with a mean of zero:
 *
 * <pre>
 * s = x + h        x̂ = (s − mean) · rstd        y = x̂ · (w + offset) + b
 * g = dy · (w + offset)       dx = dh = ds + rstd · (g − mean_c(g) − x̂ · mean_c(g · x̂))
 * dw = Σ_r dy · x̂       db = Σ_r dy
 * </pre>
 *
 * Where {@code mean} is {@code null}, both means of the formula but the last are zero. A row stays
 * in the first-level cache between its passes. Sums over rows are cut into at most 16 parts by
 * their number alone, and the parts are added in order.
 */
public final class NormCpu {
  private static final int PARTS = 16;
  private static final int MIN_PART_ROWS = 8;

  private NormCpu() {}

  /**
   * @param sum receives x + h; {@code null} without a residual addition
   * @param mean receives the mean of each row, fp32; {@code null} for RMS normalisation
   * @param rstd receives {@code 1 / sqrt(var + eps)} of each row, fp32
   * @param w one row; {@code null} for ones
   * @param offset added to w in fp32, where w is there
   * @param b one row; {@code null} for zeros
   */
  public static void forward(
      Cpu cpu,
      @Nullable Rows sum,
      Rows y,
      @Nullable MemorySegment mean,
      MemorySegment rstd,
      Rows x,
      @Nullable Rows h,
      @Nullable Rows w,
      float offset,
      @Nullable Rows b,
      float eps) {
    Rows in = x.slot(0);
    Rows out = y.slot(1);
    Rows weight = w == null ? null : w.slot(2);
    Rows bias = b == null ? null : b.slot(3);
    Rows added = h == null ? null : h.slot(4);
    Rows total = sum == null ? null : sum.slot(5);
    RowPass<NormRow> add = NormRow::add;
    RowPass<NormRow> meanPass = NormRow::mean;
    RowPass<NormRow> squares = NormRow::squares;
    RowPass<NormRow> normalise = b == null ? NormRow::scale : NormRow::scaleAndShift;
    cpu.parallel(
        x.count(),
        Rows.grain(x.cols()),
        () -> new NormRow(cpu.scratch(Rows.scratchBytes(in.cols(), 6)), in.padded(), in.cols()),
        (row, from, to) -> {
          MemorySegment scratch = row.scratch;
          weigh(row, weight, offset, in.cols());
          if (bias != null) {
            row.b = bias.segment(scratch);
            row.bAt = bias.load(0, scratch);
          }
          for (int r = from; r < to; r++) {
            Rows operand = in;
            row.x = in.segment(scratch);
            row.xAt = in.load(r, scratch);
            if (added != null && total != null) {
              row.h = added.segment(scratch);
              row.hAt = added.load(r, scratch);
              row.out = total.segment(scratch);
              row.outAt = total.target(r, scratch);
              RowPass.run(add, row);
              total.store(r, scratch);
              operand = total;
              row.x = row.out;
              row.xAt = row.outAt;
            }
            if (mean != null) {
              RowPass.run(meanPass, row);
              mean.setAtIndex(JAVA_FLOAT_UNALIGNED, r, row.mean);
              operand.fill(row.mean, scratch);
            }
            RowPass.run(squares, row);
            row.rstd = (float) (1 / Math.sqrt((double) row.squares / in.cols() + eps));
            rstd.setAtIndex(JAVA_FLOAT_UNALIGNED, r, row.rstd);
            row.out = out.segment(scratch);
            row.outAt = out.target(r, scratch);
            RowPass.run(normalise, row);
            out.store(r, scratch);
          }
        });
  }

  /**
   * Every destination may be {@code null}: nobody wants it.
   *
   * @param dx the gradient of x
   * @param dh the gradient of h, the same numbers
   * @param dw fp32, one row
   * @param db fp32, one row
   * @param dsum the gradient that reached s directly; {@code null} for zeros
   * @param dy the gradient of the result; {@code null} for zeros
   * @param x what was normalised: s, where a residual was added
   */
  public static void backward(
      Cpu cpu,
      @Nullable Rows dx,
      @Nullable Rows dh,
      @Nullable Rows dw,
      @Nullable Rows db,
      @Nullable Rows dsum,
      @Nullable Rows dy,
      Rows x,
      @Nullable Rows w,
      float offset,
      @Nullable MemorySegment mean,
      MemorySegment rstd) {
    Rows upstream = dy == null ? null : dy.slot(0);
    Rows in = x.slot(1);
    Rows weight = w == null ? null : w.slot(2);
    Rows direct = dsum == null ? null : dsum.slot(3);
    Rows first = dx == null ? null : dx.slot(4);
    Rows second = dh == null ? null : dh.slot(4);
    Rows[] wanted = wanted(first, second);
    Rows alone = dh == null && first != null && !first.accumulate() ? first : null;
    long part = Rows.scratchBytes(x.cols(), 1);
    int partRows = Math.max(MIN_PART_ROWS, (x.count() + PARTS - 1) / PARTS);
    int parts = (x.count() + partRows - 1) / partRows;
    MemorySegment partial = cpu.shared(2L * parts * part);
    RowPass<NormRow> sums = mean == null ? NormRow::sumOfGx : NormRow::sumsOfG;
    RowPass<NormRow> gradients = mean == null ? NormRow::gradients : NormRow::centredGradients;
    RowPass<NormRow> add = NormRow::add;
    RowPass<NormRow> copy = NormRow::copy;
    cpu.parallel(
        x.count(),
        partRows,
        () -> new NormRow(cpu.scratch(Rows.scratchBytes(in.cols(), 6)), in.padded(), in.cols()),
        (row, from, to) -> {
          MemorySegment scratch = row.scratch;
          NormRow sum = row.second();
          weigh(row, weight, offset, in.cols());
          row.dw = partial;
          row.dwAt = 2L * (from / partRows) * part;
          row.db = partial;
          row.dbAt = row.dwAt + part;
          partial.asSlice(row.dwAt, 2 * part).fill((byte) 0);
          for (int r = from; r < to; r++) {
            row.out = alone == null ? scratch : alone.segment(scratch);
            row.outAt = alone == null ? 5 * part : alone.target(r, scratch);
            if (upstream == null) {
              row.out.asSlice(row.outAt, part).fill((byte) 0);
            } else {
              row.dy = upstream.segment(scratch);
              row.dyAt = upstream.load(r, scratch);
              row.x = in.segment(scratch);
              row.xAt = in.load(r, scratch);
              row.mean = mean == null ? 0 : mean.getAtIndex(JAVA_FLOAT_UNALIGNED, r);
              row.rstd = rstd.getAtIndex(JAVA_FLOAT_UNALIGNED, r);
              RowPass.run(sums, row);
              RowPass.run(gradients, row);
            }
            if (direct != null) {
              sum.out = row.out;
              sum.outAt = row.outAt;
              sum.x = row.out;
              sum.xAt = row.outAt;
              sum.h = direct.segment(scratch);
              sum.hAt = direct.load(r, scratch);
              RowPass.run(add, sum);
            }
            if (alone != null) {
              alone.store(r, scratch);
              continue;
            }
            sum.h = scratch;
            sum.hAt = 5 * part;
            for (Rows destination : wanted) { // one call: C2 takes 30 MB over two
              emit(destination, r, scratch, add, copy, sum);
            }
          }
        });
    reduce(cpu, dw, partial, 0, parts);
    reduce(cpu, db, partial, part, parts);
  }

  private static Rows[] wanted(@Nullable Rows first, @Nullable Rows second) {
    if (first != null && second != null) {
      return new Rows[] {first, second};
    }
    Rows only = first != null ? first : second;
    return only == null ? new Rows[0] : new Rows[] {only};
  }

  /** Loads the weight's row, or ones. */
  private static void weigh(NormRow row, @Nullable Rows weight, float offset, int cols) {
    if (weight == null) {
      row.wAt = ones(row.scratch, 2, cols);
      return;
    }
    row.w = weight.segment(row.scratch);
    row.wAt = weight.load(0, row.scratch);
    if (offset != 0) {
      long at = Rows.scratchBytes(cols, 2);
      for (int i = 0; i < row.n; i += Lanes.COUNT) {
        FloatVector w = Lanes.load(row.w, row.wAt + 4L * i);
        Lanes.store(w.add(offset), row.scratch, at + 4L * i);
      }
      row.w = row.scratch;
      row.wAt = at;
    }
  }

  /** A row of ones in a slot of the scratch memory; its byte offset. */
  private static long ones(MemorySegment scratch, int slot, int cols) {
    long at = Rows.scratchBytes(cols, slot);
    for (int i = 0; i < cols; i += Lanes.COUNT) {
      Lanes.store(Lanes.broadcast(1f), scratch, at + 4L * i);
    }
    return at;
  }

  /** Writes or adds the row at {@code sum.h} to its destination. */
  private static void emit(
      Rows destination,
      int r,
      MemorySegment scratch,
      RowPass<NormRow> add,
      RowPass<NormRow> copy,
      NormRow sum) {
    sum.out = destination.segment(scratch);
    sum.outAt = destination.target(r, scratch);
    if (destination.accumulate()) {
      sum.x = sum.out;
      sum.xAt = sum.outAt;
      RowPass.run(add, sum);
    } else {
      RowPass.run(copy, sum);
    }
    destination.store(r, scratch);
  }

  /** Adds the partial rows that stand at every second place from {@code first} on, in order. */
  private static void reduce(
      Cpu cpu, @Nullable Rows destination, MemorySegment partial, long first, int parts) {
    if (destination == null) {
      return;
    }
    MemorySegment scratch = cpu.scratch(Rows.scratchBytes(destination.cols(), 1));
    MemorySegment m = destination.segment(scratch);
    long at = destination.target(0, scratch);
    long step = Rows.scratchBytes(destination.cols(), 2);
    for (int i = 0; i < destination.padded(); i += Lanes.COUNT) {
      FloatVector total = Lanes.zero();
      for (int p = 0; p < parts; p++) {
        total = total.add(Lanes.load(partial, first + p * step + 4L * i));
      }
      total = destination.accumulate() ? total.add(Lanes.load(m, at + 4L * i)) : total;
      Lanes.store(total, m, at + 4L * i);
    }
    destination.store(0, scratch);
  }
}
