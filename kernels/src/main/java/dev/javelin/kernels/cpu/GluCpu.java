package dev.javelin.kernels.cpu;

import dev.javelin.device.Cpu;
import dev.javelin.kernels.Activation;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** A gated linear unit: the gate's activation times the other half. */
public final class GluCpu {
  private GluCpu() {}

  /** {@code y = f(gate) · up}. */
  public static void forward(Cpu cpu, Rows y, Rows gate, Rows up, Activation f) {
    Rows out = y.slot(0);
    Rows g = gate.slot(1);
    Rows u = up.slot(2);
    RowPass<ActivationRow> value = ActivationRow.value(f);
    RowPass<ActivationRow> multiply = ActivationRow::multiply;
    cpu.parallel(
        y.count(),
        Rows.grain(y.cols()),
        () -> ActivationRow.pair(cpu.scratch(Rows.scratchBytes(out.cols(), 4)), out.padded()),
        (gated, from, to) -> {
          MemorySegment scratch = gated.scratch;
          gated.x = g.segment(scratch);
          gated.outAt = Rows.scratchBytes(out.cols(), 3);
          ActivationRow product = gated.product();
          product.out = out.segment(scratch);
          product.x = u.segment(scratch);
          product.factorAt = gated.outAt;
          for (int r = from; r < to; r++) {
            gated.xAt = g.load(r, scratch);
            RowPass.run(value, gated);
            product.xAt = u.load(r, scratch);
            product.outAt = out.target(r, scratch);
            RowPass.run(multiply, product);
            out.store(r, scratch);
          }
        });
  }

  /**
   * {@code dgate (+)= dy · up · f'(gate)}, {@code dup (+)= dy · f(gate)}. Either destination may be
   * {@code null}; the first is written before the second.
   */
  public static void backward(
      Cpu cpu,
      @Nullable Rows dgate,
      @Nullable Rows dup,
      Rows dy,
      Rows gate,
      Rows up,
      Activation f) {
    Rows d = dy.slot(0);
    Rows g = gate.slot(1);
    Rows u = up.slot(2);
    Rows gateOut = dgate == null ? null : dgate.slot(3);
    Rows upOut = dup == null ? null : dup.slot(3);
    RowPass<ActivationRow> value = ActivationRow.value(f);
    RowPass<ActivationRow> derivative = ActivationRow.derivative(f);
    RowPass<ActivationRow> multiply = ActivationRow::multiply;
    cpu.parallel(
        dy.count(),
        Rows.grain(dy.cols()),
        () -> ActivationRow.pair(cpu.scratch(Rows.scratchBytes(d.cols(), 5)), d.padded()),
        (gated, from, to) -> {
          MemorySegment scratch = gated.scratch;
          gated.x = g.segment(scratch);
          gated.outAt = Rows.scratchBytes(d.cols(), 4);
          ActivationRow product = gated.product();
          product.factorAt = gated.outAt;
          for (int r = from; r < to; r++) {
            long dyAt = d.load(r, scratch);
            gated.xAt = g.load(r, scratch);
            if (gateOut != null) {
              RowPass.run(derivative, gated);
              product.x = u.segment(scratch);
              product.xAt = u.load(r, scratch);
              product.out = scratch;
              product.outAt = gated.outAt;
              product.accumulate = false;
              RowPass.run(multiply, product);
              aim(product, gateOut, d, dyAt, r, scratch);
              RowPass.run(multiply, product);
              gateOut.store(r, scratch);
            }
            if (upOut != null) {
              RowPass.run(value, gated);
              aim(product, upOut, d, dyAt, r, scratch);
              RowPass.run(multiply, product);
              upOut.store(r, scratch);
            }
          }
        });
  }

  /** Makes the product {@code out (+)= dy · factor}. */
  private static void aim(
      ActivationRow product, Rows out, Rows dy, long dyAt, int r, MemorySegment scratch) {
    product.x = dy.segment(scratch);
    product.xAt = dyAt;
    product.out = out.segment(scratch);
    product.outAt = out.target(r, scratch);
    product.accumulate = out.accumulate();
  }
}
