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
    int cols = y.cols();
    cpu.parallel(
        y.count(),
        Rows.grain(cols),
        (from, to) -> {
          MemorySegment scratch = cpu.scratch(Rows.scratchBytes(cols, 4));
          long value = Rows.scratchBytes(cols, 3);
          for (int r = from; r < to; r++) {
            long gr = g.load(r, scratch);
            long ur = u.load(r, scratch);
            long yr = out.target(r, scratch);
            int n = out.padded();
            ActivationRows.value(f, scratch, value, g.segment(scratch), gr, n);
            ActivationCpu.multiply(
                out.segment(scratch), yr, false, u.segment(scratch), ur, scratch, value, n);
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
    int cols = dy.cols();
    cpu.parallel(
        dy.count(),
        Rows.grain(cols),
        (from, to) -> {
          MemorySegment scratch = cpu.scratch(Rows.scratchBytes(cols, 5));
          long temporary = Rows.scratchBytes(cols, 4);
          MemorySegment ds = d.segment(scratch);
          MemorySegment gs = g.segment(scratch);
          MemorySegment us = u.segment(scratch);
          int n = d.padded();
          for (int r = from; r < to; r++) {
            long dr = d.load(r, scratch);
            long gr = g.load(r, scratch);
            if (gateOut != null) {
              long ur = u.load(r, scratch);
              ActivationRows.derivative(f, scratch, temporary, gs, gr, n);
              ActivationCpu.multiply(scratch, temporary, false, us, ur, scratch, temporary, n);
              emit(gateOut, r, scratch, ds, dr, temporary, n);
            }
            if (upOut != null) {
              ActivationRows.value(f, scratch, temporary, gs, gr, n);
              emit(upOut, r, scratch, ds, dr, temporary, n);
            }
          }
        });
  }

  private static void emit(
      Rows out, int r, MemorySegment scratch, MemorySegment dy, long dr, long factor, int n) {
    long at = out.target(r, scratch);
    MemorySegment m = out.segment(scratch);
    ActivationCpu.multiply(m, at, out.accumulate(), dy, dr, scratch, factor, n);
    out.store(r, scratch);
  }
}
