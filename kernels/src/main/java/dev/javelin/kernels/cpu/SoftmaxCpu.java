package dev.javelin.kernels.cpu;

import dev.javelin.device.Cpu;
import java.lang.foreign.MemorySegment;

/** Softmax of rows and its logarithm. */
public final class SoftmaxCpu {
  private SoftmaxCpu() {}

  /** {@code y = e^(x − max x) / Σ e^(x − max x)}. */
  public static void forward(Cpu cpu, Rows y, Rows x) {
    forward(cpu, y, x, SoftmaxRow::normalise);
  }

  /** {@code y = x − max x − ln Σ e^(x − max x)}. */
  public static void logForward(Cpu cpu, Rows y, Rows x) {
    RowPass<SoftmaxRow> logOfSum = SoftmaxRow::logOfSum;
    forward(cpu, y, x, logOfSum.then(SoftmaxRow::subtract));
  }

  private static void forward(Cpu cpu, Rows y, Rows x, RowPass<SoftmaxRow> finish) {
    Rows out = y.slot(0);
    Rows in = x.slot(1);
    RowPass<SoftmaxRow> lanes = SoftmaxRow::firstLanes;
    RowPass<SoftmaxRow> max = SoftmaxRow::max;
    RowPass<SoftmaxRow> exponentials = SoftmaxRow::exponentials;
    cpu.parallel(
        x.count(),
        Rows.grain(x.cols()),
        (from, to) -> {
          MemorySegment scratch = cpu.scratch(Rows.blockBytes(in.cols(), 2));
          MemorySegment xs = in.segment(scratch);
          int block = Rows.block(in.cols());
          SoftmaxRow row = new SoftmaxRow(out.segment(scratch), xs, xs, false, in.padded(), block);
          row.xStep = in.step();
          row.outStep = out.step();
          for (int r = from; r < to; r += block) {
            row.rows = Math.min(block, to - r);
            row.xAt = in.loadBlock(r, row.rows, Float.NEGATIVE_INFINITY, scratch);
            row.outAt = out.targetBlock(r, row.rows, scratch);
            row.last = to - 1 - r;
            row.ahead = in.direct() ? block : 0; // scratch memory holds one block
            if (r == from || !in.direct()) {
              RowPass.run(lanes, row);
            }
            RowPass.run(max, row);
            RowPass.run(exponentials, row);
            RowPass.run(finish, row);
            out.storeBlock(r, row.rows, scratch);
          }
        });
  }

  /** {@code dx (+)= y · (dy − Σ dy · y)}. */
  public static void backward(Cpu cpu, Rows dx, Rows dy, Rows y) {
    backward(cpu, dx, dy, y, SoftmaxRow::dot, SoftmaxRow::gradient);
  }

  /** {@code dx (+)= dy − e^y · Σ dy}. */
  public static void logBackward(Cpu cpu, Rows dx, Rows dy, Rows y) {
    backward(cpu, dx, dy, y, SoftmaxRow::total, SoftmaxRow::logGradient);
  }

  private static void backward(
      Cpu cpu, Rows dx, Rows dy, Rows y, RowPass<SoftmaxRow> sum, RowPass<SoftmaxRow> gradient) {
    Rows out = dx.slot(0);
    Rows upstream = dy.slot(1);
    Rows result = y.slot(2);
    cpu.parallel(
        y.count(),
        Rows.grain(y.cols()),
        (from, to) -> {
          MemorySegment scratch = cpu.scratch(Rows.blockBytes(result.cols(), 3));
          int block = Rows.block(result.cols());
          SoftmaxRow row =
              new SoftmaxRow(
                  out.segment(scratch),
                  result.segment(scratch),
                  upstream.segment(scratch),
                  out.accumulate(),
                  result.padded(),
                  block);
          row.dyStep = upstream.step();
          row.xStep = result.step();
          row.outStep = out.step();
          for (int r = from; r < to; r += block) {
            row.rows = Math.min(block, to - r);
            row.dyAt = upstream.loadBlock(r, row.rows, 0, scratch);
            row.xAt = result.loadBlock(r, row.rows, 0, scratch);
            row.outAt = out.targetBlock(r, row.rows, scratch);
            RowPass.run(sum, row);
            RowPass.run(gradient, row);
            out.storeBlock(r, row.rows, scratch);
          }
        });
  }
}
