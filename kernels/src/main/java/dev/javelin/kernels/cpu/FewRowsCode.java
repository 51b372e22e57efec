package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.X86.Gp.R10;
import static dev.javelin.kernels.cpu.X86.Gp.R11;
import static dev.javelin.kernels.cpu.X86.Gp.R12;
import static dev.javelin.kernels.cpu.X86.Gp.R13;
import static dev.javelin.kernels.cpu.X86.Gp.R8;
import static dev.javelin.kernels.cpu.X86.Gp.R9;
import static dev.javelin.kernels.cpu.X86.Gp.RAX;
import static dev.javelin.kernels.cpu.X86.Gp.RBP;
import static dev.javelin.kernels.cpu.X86.Gp.RBX;
import static dev.javelin.kernels.cpu.X86.Gp.RCX;
import static dev.javelin.kernels.cpu.X86.Gp.RDI;
import static dev.javelin.kernels.cpu.X86.Gp.RDX;
import static dev.javelin.kernels.cpu.X86.Gp.RSI;
import static dev.javelin.kernels.cpu.X86.at;

import dev.javelin.kernels.Quantization;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The loops of {@link MatmulFewRows} as machine code: dot products of up to eight rows of A with
 * many rows of B, which is widened to fp32 on its way into a register and shared by all rows of A.
 * Each sum is the sixteen chains that {@link MatmulFewRows} documents, added in its order.
 *
 * <p>B is read along {@link #streams} rows at once that lie {@code APART} bytes apart. A group is
 * one row of each stream; the streams go on from group to group.
 *
 * <pre>
 * for each group
 *   for each 16 of k:   w[r] = widened(B[r]),  sum[i][r] += A[i] · w[r]
 *   C[i][r] = the sum of sum[i][r]
 * </pre>
 *
 * <p>A lies as the code reads it: 16 elements of k of the first row, of the second row, and so on.
 */
final class FewRowsCode {
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

  /** The most rows of B at once. */
  static final int MAX_STREAMS = 4;

  /** Elements of k at once. */
  static final int STEP = 16;

  // What the code is called with: 64-bit numbers at these bytes of a block in memory.
  static final int C = 0; // address of C[0][0]
  static final int C_ROW = 8; // bytes between rows of C
  static final int C_APART = 16; // between the columns of two streams
  static final int A = 24;
  static final int LOOPS = 32; // loops over k: k / (16 · unroll)
  static final int B = 40;
  static final int APART = 48; // bytes between two streams
  static final int GAP = 56; // from the end of a row of B to the next row
  static final int GROUPS = 64;
  static final int FACTORS = 72; // address of the first row's
  static final int FACTORS_APART = 80; // bytes between two streams'
  static final int CONSTANTS = 88; // address of those of NF4
  static final int PARAMETER_BYTES = 96;

  private static final X86.Gp[] STREAMS = {RCX, R8, R9, R10};
  private static final X86.Gp[] FACTOR_STREAMS = {RBX, RBP, R12, R13};

  private static final int VECTOR_BYTES = 64;
  private static final int LINE_BYTES = 64;
  private static final int PREFETCH_BYTES = 1024; // ahead of each stream
  private static final int REGISTERS = 32;
  private static final int SPARE = 4; // registers from `widened` on that adding up needs
  private static final int TABLE = 29;
  private static final int ORDER = 30;
  private static final int SHIFTS = 31;

  // Which quarters or floats a shuffle takes.
  private static final int LOWER_HALVES = 0x44;
  private static final int UPPER_HALVES = 0xEE;
  private static final int EVEN_QUARTERS = 0x88;
  private static final int ODD_QUARTERS = 0xDD;
  private static final int SWAP_PAIRS = 0x4E;
  private static final int SWAP_NEIGHBOURS = 0xB1;

  private final X86 x = new X86();
  private final Weights weights;
  private final int rows;
  private final int streams;
  private final int unroll;

  // Registers: sums | widened rows of B | factors | rows of A | table, order and shifts of NF4
  private final int widened;
  private final int factors;
  private final int firstA;
  private final int endA;

  private FewRowsCode(Weights weights, int rows, int streams, int unroll) {
    this.weights = weights;
    this.rows = rows;
    this.streams = streams;
    this.unroll = unroll;
    this.widened = rows * streams;
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
    return new FewRowsCode(weights, rows, streams, unroll).code();
  }

  /**
   * What {@code CONSTANTS} points to: 16 levels, where an element's byte goes, how far it shifts.
   */
  static byte[] constants() {
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

  private byte[] code() {
    for (int r = 0; r < streams && hasFactors(weights); r++) {
      x.push(FACTOR_STREAMS[r]);
    }
    if (weights == Weights.NF4) {
      x.mov(RAX, at(RDI, CONSTANTS));
      x.vmovups(TABLE, at(RAX));
      x.vmovups(ORDER, at(RAX, VECTOR_BYTES));
      x.vmovups(SHIFTS, at(RAX, 2 * VECTOR_BYTES));
    }
    x.mov(RSI, at(RDI, C));
    start(STREAMS, B, APART);
    if (hasFactors(weights)) {
      start(FACTOR_STREAMS, FACTORS, FACTORS_APART);
    }
    x.mov(R11, at(RDI, GROUPS));
    int group = x.here();
    group();
    x.sub(R11, 1);
    x.jnz(group);
    x.vzeroupper();
    for (int r = streams - 1; r >= 0 && hasFactors(weights); r--) {
      x.pop(FACTOR_STREAMS[r]);
    }
    x.ret();
    return x.bytes();
  }

  private void start(X86.Gp[] pointers, int first, int apart) {
    x.mov(pointers[0], at(RDI, first));
    for (int r = 1; r < streams; r++) {
      x.mov(pointers[r], pointers[r - 1]);
      x.add(pointers[r], at(RDI, apart));
    }
  }

  /** One row of each stream with all rows of A. */
  private void group() {
    x.mov(RDX, at(RDI, A));
    x.mov(RAX, at(RDI, LOOPS));
    for (int sum = 0; sum < rows * streams; sum++) {
      x.vpxord(sum, sum, sum);
    }
    if (weights == Weights.INT8) {
      nextFactors();
    }
    int loop = x.here();
    if (weights == Weights.NF4) {
      nextFactors();
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
    for (int i = 0; i < rows; i++) {
      fold(i * streams);
    }
    store();
    for (int r = 0; r < streams; r++) {
      x.add(STREAMS[r], at(RDI, GAP));
    }
    x.add(RSI, Float.BYTES);
  }

  private void nextFactors() {
    for (int r = 0; r < streams; r++) {
      x.vbroadcastss(factors + r, at(FACTOR_STREAMS[r]));
      x.add(FACTOR_STREAMS[r], Float.BYTES);
    }
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

  /** The sums of the chains of a row of A: quarter r of the first register gets stream r's. */
  private void fold(int first) {
    int spare = widened;
    int left = halves(first, 0, spare, spare + 1);
    int right = streams > 2 ? halves(first, 2, spare + 2, spare + 3) : left;
    x.vshuff64x2(first, left, right, EVEN_QUARTERS);
    x.vshuff64x2(spare + 1, left, right, ODD_QUARTERS);
    x.vaddps(first, first, spare + 1);
    x.vshufps(spare, first, first, SWAP_PAIRS);
    x.vaddps(first, first, spare);
    x.vshufps(spare, first, first, SWAP_NEIGHBOURS);
    x.vaddps(first, first, spare);
  }

  /** The lower halves of two streams' sums plus the upper ones. */
  private int halves(int first, int stream, int to, int spare) {
    int a = first + stream;
    int b = first + Math.min(stream + 1, streams - 1);
    x.vshuff64x2(to, a, b, LOWER_HALVES);
    x.vshuff64x2(spare, a, b, UPPER_HALVES);
    x.vaddps(to, to, spare);
    return to;
  }

  private void store() {
    for (int r = 0; r < streams; r++) {
      columnOf(r);
      for (int i = 0; i < rows; i++) {
        int sum = i * streams;
        if (r > 0) {
          x.vextractf32x4(widened, sum, r);
        }
        x.vmovss(at(RDX), r > 0 ? widened : sum);
        x.add(RDX, at(RDI, C_ROW));
      }
    }
  }

  private void columnOf(int r) {
    if (r == 0) {
      x.mov(RAX, RSI);
    } else {
      x.add(RAX, at(RDI, C_APART));
    }
    x.mov(RDX, RAX);
  }
}
