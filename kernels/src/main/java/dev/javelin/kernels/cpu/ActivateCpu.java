package dev.javelin.kernels.cpu;

import dev.javelin.device.Cpu;
import dev.javelin.kernels.Activation;
import java.lang.foreign.MemorySegment;

/** An activation of every element. */
public final class ActivateCpu {
  private ActivateCpu() {}

  /** {@code y = f(x)}. */
  public static void forward(Cpu cpu, Rows y, Rows x, Activation f) {
    Rows out = y.slot(0);
    Rows in = x.slot(1);
    RowPass<ActivationRow> value = ActivationRow.value(f);
    cpu.parallel(
        x.count(),
        Rows.grain(x.cols()),
        () -> new ActivationRow(cpu.scratch(Rows.scratchBytes(in.cols(), 2)), in.padded()),
        (row, from, to) -> {
          MemorySegment scratch = row.scratch;
          row.x = in.segment(scratch);
          row.out = out.segment(scratch);
          for (int r = from; r < to; r++) {
            row.xAt = in.load(r, scratch);
            row.outAt = out.target(r, scratch);
            RowPass.run(value, row);
            out.store(r, scratch);
          }
        });
  }

  /** {@code dx (+)= dy · f'(x)}. */
  public static void backward(Cpu cpu, Rows dx, Rows dy, Rows x, Activation f) {
    Rows out = dx.slot(0);
    Rows upstream = dy.slot(1);
    Rows in = x.slot(2);
    RowPass<ActivationRow> derivative = ActivationRow.derivative(f);
    RowPass<ActivationRow> multiply = ActivationRow::multiply;
    cpu.parallel(
        x.count(),
        Rows.grain(x.cols()),
        () -> ActivationRow.pair(cpu.scratch(Rows.scratchBytes(in.cols(), 4)), in.padded()),
        (slope, from, to) -> {
          MemorySegment scratch = slope.scratch;
          slope.x = in.segment(scratch);
          slope.outAt = Rows.scratchBytes(in.cols(), 3);
          ActivationRow product = slope.product();
          product.out = out.segment(scratch);
          product.accumulate = out.accumulate();
          product.x = upstream.segment(scratch);
          product.factorAt = slope.outAt;
          for (int r = from; r < to; r++) {
            slope.xAt = in.load(r, scratch);
            RowPass.run(derivative, slope);
            product.xAt = upstream.load(r, scratch);
            product.outAt = out.target(r, scratch);
            RowPass.run(multiply, product);
            out.store(r, scratch);
          }
        });
  }
}
