package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import java.lang.foreign.MemorySegment;

/**
 * Statistics of some elements of each part of a flat buffer, for the log. Part {@code p} has the
 * runs {@code firsts[p] … firsts[p+1]} of {@value #RUN} elements; run {@code r} begins at element
 * {@code starts[r]} and ends at {@code ends[p]} at the latest. Sums are in double, part by part in
 * the order of the runs.
 */
public final class FlatSampleCpu {
  private static final int RUN = 16;
  private static final long RUN_BYTES = 4L * RUN;

  private FlatSampleCpu() {}

  /**
   * Which elements.
   *
   * @param ends I64 [P]
   * @param firsts I64 [P + 1]
   * @param starts I64 [R]
   */
  public record Table(int parts, MemorySegment ends, MemorySegment firsts, MemorySegment starts) {
    private long first(int part) {
      return firsts.getAtIndex(JAVA_LONG, part);
    }

    private long start(long run) {
      return starts.getAtIndex(JAVA_LONG, run);
    }

    /** Elements of a run. */
    private int length(int part, long run) {
      return (int) Math.min(RUN, ends.getAtIndex(JAVA_LONG, part) - start(run));
    }
  }

  /** To fp32 [16·R]. */
  public static void copy(Cpu cpu, Table t, MemorySegment to, MemorySegment x, DType type) {
    cpu.parallel(
        t.parts,
        1,
        (from, until) -> {
          for (int p = from; p < until; p++) {
            for (long run = t.first(p); run < t.first(p + 1); run++) {
              Half.widen(to, RUN_BYTES * run, x, type.bytes(t.start(run)), type, t.length(p, run));
            }
          }
        });
  }

  /** {@code to[p] = (√Σ (x − before)², √Σ before²)}, fp32 [P, 2]. */
  public static void change(
      Cpu cpu, Table t, MemorySegment to, MemorySegment before, MemorySegment x, DType type) {
    cpu.parallel(
        t.parts,
        1,
        (from, until) -> {
          MemorySegment now = cpu.scratch(RUN_BYTES);
          for (int p = from; p < until; p++) {
            double moved = 0;
            double was = 0;
            for (long run = t.first(p); run < t.first(p + 1); run++) {
              int n = t.length(p, run);
              Half.widen(now, 0, x, type.bytes(t.start(run)), type, n);
              for (int i = 0; i < n; i++) {
                double b = before.get(JAVA_FLOAT_UNALIGNED, RUN_BYTES * run + 4L * i);
                double d = now.get(JAVA_FLOAT_UNALIGNED, 4L * i) - b;
                moved += d * d;
                was += b * b;
              }
            }
            to.setAtIndex(JAVA_FLOAT_UNALIGNED, 2L * p, (float) Math.sqrt(moved));
            to.setAtIndex(JAVA_FLOAT_UNALIGNED, 2L * p + 1, (float) Math.sqrt(was));
          }
        });
  }

  /**
   * A histogram of {@code |m|/√v}: the first bin below {@code 2^smallest}, then one for each power
   * of 2, the last without end; a zero m counts in the first, a zero v in the last.
   *
   * @param counts I32 [P, bins]
   */
  public static void ratios(
      Cpu cpu,
      Table t,
      MemorySegment counts,
      MemorySegment m,
      MemorySegment v,
      int bins,
      int smallest) {
    cpu.parallel(
        t.parts,
        1,
        (from, until) -> {
          for (int p = from; p < until; p++) {
            long at = (long) bins * p;
            clear(counts, at, bins);
            for (long run = t.first(p); run < t.first(p + 1); run++) {
              long start = t.start(run);
              int n = t.length(p, run);
              for (int i = 0; i < n; i++) {
                double mi = m.getAtIndex(JAVA_FLOAT_UNALIGNED, start + i);
                double vi = v.getAtIndex(JAVA_FLOAT_UNALIGNED, start + i);
                int bin = mi == 0 ? 0 : (Math.getExponent(mi * mi / vi) >> 1) - smallest + 1;
                count(counts, at + Math.min(Math.max(bin, 0), bins - 1));
              }
            }
          }
        });
  }

  /**
   * Counts zeros, other magnitudes up to {@code vanishes}, and those below {@code normal}; both are
   * the bits of floats.
   *
   * @param counts I32 [P, 3]
   */
  public static void underflow(
      Cpu cpu, Table t, MemorySegment counts, MemorySegment x, int vanishes, int normal) {
    cpu.parallel(
        t.parts,
        1,
        (from, until) -> {
          for (int p = from; p < until; p++) {
            int zero = 0;
            int vanished = 0;
            int subnormal = 0;
            for (long run = t.first(p); run < t.first(p + 1); run++) {
              long start = t.start(run);
              int n = t.length(p, run);
              for (int i = 0; i < n; i++) {
                int bits = x.getAtIndex(JAVA_INT, start + i) & 0x7FFFFFFF;
                zero += bits == 0 ? 1 : 0;
                vanished += bits != 0 && bits <= vanishes ? 1 : 0;
                subnormal += bits > vanishes && bits < normal && bits != 0 ? 1 : 0;
              }
            }
            counts.setAtIndex(JAVA_INT, 3L * p, zero);
            counts.setAtIndex(JAVA_INT, 3L * p + 1, vanished);
            counts.setAtIndex(JAVA_INT, 3L * p + 2, subnormal);
          }
        });
  }

  private static void clear(MemorySegment counts, long at, int n) {
    for (int i = 0; i < n; i++) {
      counts.setAtIndex(JAVA_INT, at + i, 0);
    }
  }

  private static void count(MemorySegment counts, long at) {
    counts.setAtIndex(JAVA_INT, at, counts.getAtIndex(JAVA_INT, at) + 1);
  }
}
