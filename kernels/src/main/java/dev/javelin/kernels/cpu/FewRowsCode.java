package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.X86.Gp.RAX;
import static dev.javelin.kernels.cpu.X86.Gp.RDI;
import static dev.javelin.kernels.cpu.X86.Gp.RDX;
import static dev.javelin.kernels.cpu.X86.at;

import dev.javelin.kernels.Quantization;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The loops of {@link MatmulFewRows} as machine code: dot products of up to eight rows of A with
 * many rows of B, which is widened to fp32 on its way into a register and shared by all rows of A.
 *
 * <pre>
 * for each 16 of k:   w[r] = widened(B[r]),  sum[i][r] += A[i] · w[r]
 * </pre>
 *
 * <p>A lies as the code reads it: 16 elements of k of the first row, of the second row, and so on.
 */
final class FewRowsCode extends DotProductCode {
  /** How elements of B are kept. */
  enum Weights {
    F32(64),
    BF16(32),
    F16(32),
    /** Codes of 8 bits times a factor for each row. */
    INT8(16),
    /** Codes of 4 bits times a factor for each 64 elements. */
    NF4(8);

    /** Of 16 elements. */
    final int bytes;

    Weights(int bytes) {
      this.bytes = bytes;
    }
  }

  /** The most rows of A at once; of NF4 its table takes the registers. */
  static final int MAX_ROWS = 8;

  /** Elements of k at once. */
  static final int STEP = 16;

  private static final int TABLE = 29;
  private static final int ORDER = 30;
  private static final int SHIFTS = 31;

  private final Weights weights;
  private final int unroll;

  // Registers: sums | widened rows of B | factors | rows of A | table, order and shifts of NF4
  private final int widened;
  private final int factors;
  private final int firstA;
  private final int endA;

  private FewRowsCode(Weights weights, int rows, int streams, int unroll) {
    super(rows, streams, hasFactors(weights));
    this.weights = weights;
    this.unroll = unroll;
    this.widened = behindSums;
    this.factors = widened + streams;
    this.firstA = factors + (hasFactors(weights) ? streams : 0);
    this.endA = weights == Weights.NF4 ? TABLE : REGISTERS;
    if (firstA >= endA || widened + SPARE > endA) {
      throw new IllegalArgumentException(
          "few rows: %d x %d of %s do not fit the registers".formatted(rows, streams, weights));
    }
  }

  private static boolean hasFactors(Weights weights) {
    return weights == Weights.INT8 || weights == Weights.NF4;
  }

  /** The most rows of A that a call takes. */
  static int maxRows(Weights weights) {
    return weights == Weights.NF4 ? MAX_ROWS - 1 : MAX_ROWS;
  }

  /** Rows of B at once. */
  static int streams(int rows) {
    return rows <= 5 ? MAX_STREAMS : MAX_STREAMS - 1;
  }

  /** 16 elements of k that a loop takes, where {@code k} is a multiple. */
  static int unroll(Weights weights, int k) {
    int steps = LINE_BYTES / weights.bytes;
    return weights == Weights.NF4 ? Quantization.BLOCK / STEP : k / STEP % steps == 0 ? steps : 1;
  }

  /**
   * A function of the address of the parameters.
   *
   * @param rows of A, up to {@link #maxRows}
   * @param streams up to {@link #streams(int)}
   */
  static byte[] code(Weights weights, int rows, int streams, int unroll) {
    return new FewRowsCode(weights, rows, streams, unroll).function();
  }

  /**
   * What {@code CONSTANTS} points to: 16 levels, where an element's byte goes, how far it shifts.
   */
  static byte[] tables() {
    ByteBuffer b = ByteBuffer.allocate(3 * VECTOR_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (float level : Quantization.levels()) {
      b.putFloat(level);
    }
    for (int i = 0; i < STEP; i++) {
      b.putInt(0x80808000 | i / 2); // byte i / 2 and three zeros
    }
    for (int i = 0; i < STEP; i++) {
      b.putInt(i % 2 == 0 ? 4 : 0); // the even element is in the upper half
    }
    return b.array();
  }

  @Override
  void constants() {
    if (weights == Weights.NF4) {
      x.mov(RAX, at(RDI, CONSTANTS));
      x.vmovups(TABLE, at(RAX));
      x.vmovups(ORDER, at(RAX, VECTOR_BYTES));
      x.vmovups(SHIFTS, at(RAX, 2 * VECTOR_BYTES));
    }
  }

  @Override
  void products() {
    if (weights == Weights.INT8) {
      nextFactors(factors);
    }
    int loop = x.here();
    if (weights == Weights.NF4) {
      nextFactors(factors);
    }
    for (int step = 0; step < unroll; step++) {
      step(step);
    }
    x.add(RDX, unroll * rows * VECTOR_BYTES);
    for (int r = 0; r < streams; r++) {
      x.add(STREAMS[r], unroll * weights.bytes);
    }
    x.sub(RAX, 1);
    x.jnz(loop);
  }

  /** Sixteen elements of k. */
  private void step(int step) {
    for (int r = 0; r < streams; r++) {
      widen(widened + r, at(STREAMS[r], step * weights.bytes), factors + r);
      if (step * weights.bytes % LINE_BYTES == 0) {
        x.prefetcht0(at(STREAMS[r], step * weights.bytes + PREFETCH_BYTES));
      }
    }
    for (int i = 0; i < rows; i++) {
      int a = firstA + i % (endA - firstA);
      x.vmovups(a, at(RDX, (step * rows + i) * VECTOR_BYTES));
      for (int r = 0; r < streams; r++) {
        x.vfmadd231ps(i * streams + r, a, widened + r);
      }
    }
  }

  private void widen(int to, X86.Mem from, int factor) {
    switch (weights) {
      case F32 -> x.vmovups(to, from);
      case BF16 -> {
        x.vpmovzxwd(to, from);
        x.vpslld(to, to, 16);
      }
      case F16 -> x.vcvtph2ps(to, from);
      case INT8 -> {
        x.vpmovsxbd(to, from);
        x.vcvtdq2ps(to, to);
        x.vmulps(to, to, factor);
      }
      case NF4 -> {
        x.vpbroadcastq(to, from);
        x.vpshufb(to, to, ORDER);
        x.vpsrlvd(to, to, SHIFTS);
        x.vpermps(to, to, TABLE);
        x.vmulps(to, to, factor);
      }
    }
  }
}
