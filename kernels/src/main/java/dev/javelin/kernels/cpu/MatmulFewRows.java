package dev.javelin.kernels.cpu;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * The matrix product where A has a few rows and B is stored along k, as in decoding tokens: each
 * element of C is one dot product, and every element of B is used so few times that packing it
 * would cost more than all the rest. B is read once, where it lies. A row of C has the same bits
 * beside any others.
 *
 * <p>Rows of B that are read together lie apart, so that each of them goes on where it stopped: the
 * machine fetches ahead along a few long streams, but not along rows that begin anew all the time
 * (bf16, k = 2048, one core: 26 against 19 GB/s).
 *
 * <p>A dot product is 16 interleaved chains of fused multiply-adds, {@code s[l] = Σ_i a[16i + l] ·
 * b[16i + l]}, added in the order {@code s[l] + s[l+8]}, {@code + s[l+4]}, {@code + s[l+2]}, {@code
 * + s[l+1]}, and then a chain over the rest of k: the same bits for vectors of any width, and for
 * {@link FewRowsCode}, which serves where it can; elsewhere, the loops here.
 */
final class MatmulFewRows {
  /** The most rows of A that are served so. */
  static final int MAX_ROWS = 32;

  private static final int CHAINS = 16;
  private static final int ACCUMULATORS = 4;
  private static final int PARTS = CHAINS / Lanes.COUNT; // accumulators of a row of B
  private static final int ROWS = ACCUMULATORS / PARTS; // of B at once
  private static final int PIECE_ELEMENTS = 64 << 10; // of B
  private static final long VECTOR_BYTES = Lanes.BYTES; // long, as addresses are
  private static final long ROW_CHAINS = 4L * ACCUMULATORS * Lanes.COUNT; // bytes, of a row of A
  private static final long CHAINS_BYTES = 3 * ROW_CHAINS;

  private final Cpu cpu;
  private final MemorySegment c;
  private final DType cType;
  private final long ldc;
  private final MatmulOperand a;
  private final MatmulOperand b;
  private final int m;
  private final int n;
  private final int k;
  private final boolean accumulate;
  private final MatmulEpilogue epilogue;
  private final int pieceCols;

  MatmulFewRows(
      Cpu cpu,
      MemorySegment c,
      DType cType,
      long ldc,
      MatmulOperand a,
      MatmulOperand b,
      int m,
      int n,
      int k,
      boolean accumulate,
      MatmulEpilogue epilogue) {
    this.cpu = cpu;
    this.c = c;
    this.cType = cType;
    this.ldc = ldc;
    this.a = a;
    this.b = b;
    this.m = m;
    this.n = n;
    this.k = k;
    this.accumulate = accumulate;
    this.epilogue = epilogue;
    // Whole vectors of any width: an activation in the epilogue works on these.
    this.pieceCols = Math.max(1, PIECE_ELEMENTS / k / CHAINS) * CHAINS;
  }

  /** Whether a product is one of these. */
  static boolean fits(MatmulOperand a, MatmulOperand b, int m) {
    return m <= MAX_ROWS && a.alongK() && b.alongK();
  }

  void run() {
    run(FewRowsMachine.of(b, m, k).orElse(null));
  }

  /**
   * @param machine {@code null} for the loops in Java, which give the same bits
   */
  void run(@Nullable FewRowsMachine machine) {
    if (machine != null) {
      long packed = cpu.shared(machine.packedBytes()).address();
      if (!cpu.isRehearsal()) {
        machine.pack(packed, a);
      }
      cpu.parallel(Math.ceilDiv(n, pieceCols), 1, (from, to) -> pieces(machine, packed, from, to));
      return;
    }
    long rowBytes = 4L * k;
    MemorySegment rows = cpu.shared(m * rowBytes);
    for (int i = 0; i < m && !cpu.isRehearsal(); i++) {
      Half.widen(rows, i * rowBytes, Ram.ALL, a.at(i, 0), a.type(), k);
    }
    long as = rows.address();
    cpu.parallel(Math.ceilDiv(n, pieceCols), 1, (from, to) -> pieces(as, from, to));
  }

  // Memory of the thread: fp32 piece of C [m, pieceCols] | a row of C | what the code needs

  private void pieces(FewRowsMachine machine, long packed, int from, int to) {
    long stripBytes = 4L * (m + 1) * pieceCols;
    long strip = cpu.scratch(stripBytes + machine.ownBytes(pieceCols)).address();
    for (int piece = from; piece < to; piece++) {
      int first = piece * pieceCols;
      int count = Math.min(n - first, pieceCols);
      machine.sums(strip + stripBytes, packed, strip, 4L * pieceCols, first, count);
      store(strip, first, count);
    }
  }

  // Memory of the thread: chains | fp32 piece of C [m, pieceCols] | a row of C | rows of B widened

  private void pieces(long as, int from, int to) {
    long stripAt = CHAINS_BYTES;
    long widenedAt = stripAt + 4L * (m + 1) * pieceCols;
    boolean asBf16 = b.type() == DType.BF16 && FewRowsTile.FITS;
    boolean half = b.type() != DType.F32 && !asBf16;
    MemorySegment own = cpu.scratch(widenedAt + (half ? 4L * ROWS * k : 0));
    long strip = own.address() + stripAt;
    for (int piece = from; piece < to; piece++) {
      int first = piece * pieceCols;
      int end = Math.min(n, first + pieceCols);
      int apart = Math.ceilDiv(end - first, ROWS);
      for (int j = first; j < first + apart; j++) {
        int count = Math.ceilDiv(end - j, apart);
        long rows = b.at(j, 0);
        long step = apart * b.strideBytes();
        if (half) {
          for (int r = 0; r < count; r++) {
            b.widen(own.address() + widenedAt + 4L * r * k, j + r * apart, 0, k);
          }
          rows = own.address() + widenedAt;
          step = 4L * k;
        }
        for (int i = 0, height; i < m; i += height) {
          height = height(m - i);
          long row = as + 4L * i * k;
          long out = own.address();
          if (FewRowsTile.FITS && (height > 1 || asBf16)) {
            FewRowsTile.chains(out, row, 4L * k, height, rows, step, count, k, asBf16);
          } else if (height == 2) {
            twoRows(out, row, 4L * k, rows, step, count, k);
          } else {
            oneRow(out, row, rows, step, count, k);
          }
          for (int h = 0; h < height; h++) {
            for (int r = 0; r < count; r++) {
              float sum = Lanes.sum(folded(out + h * ROW_CHAINS + 4L * CHAINS * r));
              sum = rest(sum, row + 4L * h * k, rows + r * step, k, asBf16);
              long at = strip + 4L * ((i + h) * pieceCols + j - first + r * apart);
              Ram.ALL.set(Ram.FLOAT, at, sum);
            }
          }
        }
      }
      store(strip, first, end - first);
    }
  }

  /** How many of the rows of A that are left share a row of B. */
  private static int height(int left) {
    return Math.min(left, FewRowsTile.FITS ? 3 : 2);
  }

  /** The chains of two rows of A and up to {@link #ROWS} rows of B, 16 floats for each pair. */
  private static void twoRows(long out, long a, long next, long b, long step, int count, int k) {
    long a1 = a + 1 % PARTS * VECTOR_BYTES;
    long a2 = a + 2 % PARTS * VECTOR_BYTES;
    long a3 = a + 3 % PARTS * VECTOR_BYTES;
    long b1 = b + 1 % PARTS * VECTOR_BYTES + Math.min(1 / PARTS, count - 1) * step;
    long b2 = b + 2 % PARTS * VECTOR_BYTES + Math.min(2 / PARTS, count - 1) * step;
    long b3 = b + 3 % PARTS * VECTOR_BYTES + Math.min(3 / PARTS, count - 1) * step;
    FloatVector s0 = Lanes.zero();
    FloatVector s1 = Lanes.zero();
    FloatVector s2 = Lanes.zero();
    FloatVector s3 = Lanes.zero();
    FloatVector t0 = Lanes.zero();
    FloatVector t1 = Lanes.zero();
    FloatVector t2 = Lanes.zero();
    FloatVector t3 = Lanes.zero();
    long end = 4L * (k - k % CHAINS);
    for (long p = 0; p < end; p += 4 * CHAINS) {
      FloatVector w0 = Lanes.load(Ram.ALL, b + p);
      s0 = Lanes.load(Ram.ALL, a + p).fma(w0, s0);
      t0 = Lanes.load(Ram.ALL, a + next + p).fma(w0, t0);
      FloatVector w1 = Lanes.load(Ram.ALL, b1 + p);
      s1 = Lanes.load(Ram.ALL, a1 + p).fma(w1, s1);
      t1 = Lanes.load(Ram.ALL, a1 + next + p).fma(w1, t1);
      FloatVector w2 = Lanes.load(Ram.ALL, b2 + p);
      s2 = Lanes.load(Ram.ALL, a2 + p).fma(w2, s2);
      t2 = Lanes.load(Ram.ALL, a2 + next + p).fma(w2, t2);
      FloatVector w3 = Lanes.load(Ram.ALL, b3 + p);
      s3 = Lanes.load(Ram.ALL, a3 + p).fma(w3, s3);
      t3 = Lanes.load(Ram.ALL, a3 + next + p).fma(w3, t3);
    }
    Lanes.store(s0, Ram.ALL, out);
    Lanes.store(s1, Ram.ALL, out + Lanes.BYTES);
    Lanes.store(s2, Ram.ALL, out + 2 * VECTOR_BYTES);
    Lanes.store(s3, Ram.ALL, out + 3 * VECTOR_BYTES);
    Lanes.store(t0, Ram.ALL, out + 4 * VECTOR_BYTES);
    Lanes.store(t1, Ram.ALL, out + 5 * VECTOR_BYTES);
    Lanes.store(t2, Ram.ALL, out + 6 * VECTOR_BYTES);
    Lanes.store(t3, Ram.ALL, out + 7 * VECTOR_BYTES);
  }

  /** The same for one row of A. */
  private static void oneRow(long out, long a, long b, long step, int count, int k) {
    long a1 = a + 1 % PARTS * VECTOR_BYTES;
    long a2 = a + 2 % PARTS * VECTOR_BYTES;
    long a3 = a + 3 % PARTS * VECTOR_BYTES;
    long b1 = b + 1 % PARTS * VECTOR_BYTES + Math.min(1 / PARTS, count - 1) * step;
    long b2 = b + 2 % PARTS * VECTOR_BYTES + Math.min(2 / PARTS, count - 1) * step;
    long b3 = b + 3 % PARTS * VECTOR_BYTES + Math.min(3 / PARTS, count - 1) * step;
    FloatVector s0 = Lanes.zero();
    FloatVector s1 = Lanes.zero();
    FloatVector s2 = Lanes.zero();
    FloatVector s3 = Lanes.zero();
    long end = 4L * (k - k % CHAINS);
    for (long p = 0; p < end; p += 4 * CHAINS) {
      s0 = Lanes.load(Ram.ALL, a + p).fma(Lanes.load(Ram.ALL, b + p), s0);
      s1 = Lanes.load(Ram.ALL, a1 + p).fma(Lanes.load(Ram.ALL, b1 + p), s1);
      s2 = Lanes.load(Ram.ALL, a2 + p).fma(Lanes.load(Ram.ALL, b2 + p), s2);
      s3 = Lanes.load(Ram.ALL, a3 + p).fma(Lanes.load(Ram.ALL, b3 + p), s3);
    }
    Lanes.store(s0, Ram.ALL, out);
    Lanes.store(s1, Ram.ALL, out + Lanes.BYTES);
    Lanes.store(s2, Ram.ALL, out + 2 * VECTOR_BYTES);
    Lanes.store(s3, Ram.ALL, out + 3 * VECTOR_BYTES);
  }

  /** Adds what follows the chains. */
  private static float rest(float sum, long a, long b, int k, boolean asBf16) {
    float all = sum;
    for (int i = k - k % CHAINS; i < k; i++) {
      float w =
          asBf16
              ? Half.bf16ToFloat(Ram.ALL.get(ValueLayout.JAVA_SHORT_UNALIGNED, b + 2L * i))
              : get(b + 4L * i);
      all = Math.fma(get(a + 4L * i), w, all);
    }
    return all;
  }

  /** Sixteen chains added up to one vector, halves first. */
  static FloatVector folded(long chains) {
    FloatVector s = Lanes.load(Ram.ALL, chains);
    if (PARTS == 1) {
      return s;
    }
    FloatVector half = s.add(Lanes.load(Ram.ALL, chains + PARTS / 2 * VECTOR_BYTES));
    if (PARTS == 2) {
      return half;
    }
    FloatVector next = Lanes.load(Ram.ALL, chains + Lanes.BYTES);
    return half.add(next.add(Lanes.load(Ram.ALL, chains + 3 * VECTOR_BYTES)));
  }

  private static float get(long address) {
    return Ram.ALL.get(Ram.FLOAT, address);
  }

  /** Columns {@code [first, first + count)} of C, from the strip. */
  private void store(long strip, int first, int count) {
    long row = 4L * pieceCols;
    for (int i = 0; i < m && accumulate; i++) {
      long before = strip + m * row;
      Half.widen(Ram.ALL, before, c, cType.bytes(i * ldc + first), cType, count);
      for (int j = 0; j < count; j++) {
        long at = strip + i * row + 4L * j;
        float sum = get(before + 4L * j) + get(at);
        Ram.ALL.set(Ram.FLOAT, at, sum);
      }
    }
    epilogue.apply(Ram.ALL, strip, row, 0, m, first, count);
    for (int i = 0; i < m; i++) {
      Half.narrow(c, cType.bytes(i * ldc + first), cType, Ram.ALL, strip + i * row, count);
    }
  }
}
