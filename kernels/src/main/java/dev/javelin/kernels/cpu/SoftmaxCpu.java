package dev.javelin.kernels.cpu;

import dev.javelin.device.Cpu;
import java.lang.foreign.MemorySegment;

/** Softmax of rows and its logarithm. */
public final class SoftmaxCpu {
  private SoftmaxCpu() {}

  /** {@code y = e^(x − max x) / Σ e^(x − max x)}. */
  public static void forward(Cpu cpu, Rows y, Rows x) {
    RowPass<SoftmaxRow> inverse = SoftmaxRow::inverse;
    forward(cpu, y, x, inverse.then(SoftmaxRow::normalise));
  }

  /** {@code y = x − max x − ln Σ e^(x − max x)}. */
  public static void logForward(Cpu cpu, Rows y, Rows x) {
    RowPass<SoftmaxRow> logOfSum = SoftmaxRow::logOfSum;
    forward(cpu, y, x, logOfSum.then(SoftmaxRow::subtract));
  }

  private static void forward(Cpu cpu, Rows y, Rows x, RowPass<SoftmaxRow> finish) {
    Rows out = y.slot(0);
    Rows in = x.slot(1);
    RowPass<SoftmaxRow> largest = SoftmaxRow::largest;
    RowPass<SoftmaxRow> max = SoftmaxRow::max;
    RowPass<SoftmaxRow> exponentials = SoftmaxRow::exponentials;
    RowPass<SoftmaxRow> lanesOfOut = SoftmaxRow::lanesOfOut;
    long numbers = Rows.blockBytes(x.cols(), 2);
    int block = Rows.block(x.cols());
    long bytes = numbers + SoftmaxRow.bytes(block);
    cpu.parallel(
        x.count(),
        Rows.grain(x.cols()),
        () -> new SoftmaxRow(cpu.scratch(bytes), numbers, out, in, in),
        (row, from, to) -> {
          MemorySegment scratch = row.scratch;
          for (int r = from; r < to; r += block) {
            int rows = Math.min(block, to - r);
            row.rows(rows);
            row.xAt = in.loadBlock(r, rows, Float.NEGATIVE_INFINITY, scratch);
            row.outAt = out.targetBlock(r, rows, scratch);
            RowPass.run(largest, row);
            RowPass.run(max, row);
            RowPass.run(exponentials, row);
            RowPass.run(lanesOfOut, row);
            RowPass.run(finish, row);
            out.storeBlock(r, rows, scratch);
          }
        });
  }

  /** {@code dx (+)= y · (dy − Σ dy · y)}. */
  public static void backward(Cpu cpu, Rows dx, Rows dy, Rows y) {
    backward(cpu, dx, dy, y, SoftmaxRow::dot, SoftmaxRow::gradient);
  }

  /** {@code dx (+)= dy − e^y · Σ dy}. */
  public static void logBackward(Cpu cpu, Rows dx, Rows dy, Rows y) {
    RowPass<SoftmaxRow> lanesOfDy = SoftmaxRow::lanesOfDy;
    backward(cpu, dx, dy, y, lanesOfDy.then(SoftmaxRow::total), SoftmaxRow::logGradient);
  }

  private static void backward(
      Cpu cpu, Rows dx, Rows dy, Rows y, RowPass<SoftmaxRow> sum, RowPass<SoftmaxRow> gradient) {
    Rows out = dx.slot(0);
    Rows upstream = dy.slot(1);
    Rows result = y.slot(2);
    long numbers = Rows.blockBytes(y.cols(), 3);
    int block = Rows.block(y.cols());
    long bytes = numbers + SoftmaxRow.bytes(block);
    cpu.parallel(
        y.count(),
        Rows.grain(y.cols()),
        () -> new SoftmaxRow(cpu.scratch(bytes), numbers, out, result, upstream),
        (row, from, to) -> {
          MemorySegment scratch = row.scratch;
          for (int r = from; r < to; r += block) {
            int rows = Math.min(block, to - r);
            row.rows(rows);
            row.dyAt = upstream.loadBlock(r, rows, 0, scratch);
            row.xAt = result.loadBlock(r, rows, 0, scratch);
            row.outAt = out.targetBlock(r, rows, scratch);
            RowPass.run(sum, row);
            RowPass.run(gradient, row);
            out.storeBlock(r, rows, scratch);
          }
        });
  }
}
