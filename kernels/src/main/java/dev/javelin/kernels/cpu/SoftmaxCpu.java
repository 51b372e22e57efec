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
          MemorySegment scratch = cpu.scratch(Rows.scratchBytes(in.cols(), 2));
          MemorySegment xs = in.segment(scratch);
          int block = Rows.block(in, out);
          SoftmaxRow row = new SoftmaxRow(out.segment(scratch), xs, xs, false, in.padded(), block);
          row.xStep = 4 * in.stride();
          row.outStep = 4 * out.stride();
          for (int r = from; r < to; r += block) {
            row.rows = Math.min(block, to - r);
            row.xAt = in.load(r, scratch);
            in.fill(Float.NEGATIVE_INFINITY, scratch);
            row.outAt = out.target(r, scratch);
            row.last = to - 1 - r;
            row.ahead = in.direct() ? block : 0; // scratch memory holds one row
            if (r == from || !in.direct()) {
              RowPass.run(lanes, row);
            }
            RowPass.run(max, row);
            RowPass.run(exponentials, row);
            RowPass.run(finish, row);
            out.store(r, scratch);
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
          MemorySegment scratch = cpu.scratch(Rows.scratchBytes(result.cols(), 3));
          int block = Rows.block(upstream, result, out);
          SoftmaxRow row =
              new SoftmaxRow(
                  out.segment(scratch),
                  result.segment(scratch),
                  upstream.segment(scratch),
                  out.accumulate(),
                  result.padded(),
                  block);
          row.dyStep = 4 * upstream.stride();
          row.xStep = 4 * result.stride();
          row.outStep = 4 * out.stride();
          for (int r = from; r < to; r += block) {
            row.rows = Math.min(block, to - r);
            row.dyAt = upstream.load(r, scratch);
            row.xAt = result.load(r, scratch);
            row.outAt = out.target(r, scratch);
            RowPass.run(sum, row);
            RowPass.run(gradient, row);
            out.store(r, scratch);
          }
        });
  }
}
