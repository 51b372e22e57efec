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

/**
 * Machine code for dot products of a few rows of A with many rows of B: what surrounds the loop
 * over k. Each sum is sixteen chains of fp32, added in the order of {@link MatmulFewRows}.
 *
 * <p>B is read along {@link #streams} rows at once that lie {@code APART} bytes apart. A group is
 * one row of each stream; the streams go on from group to group.
 *
 * <pre>
 * for each group
 *   sum[i][r] = 0
 *   products:  sum[i][r] += ..., over k
 *   C[i][r] = the sum of sum[i][r]
 * </pre>
 *
 * <p>Registers: the sums, row by row of A, then what {@link #products} needs. In it RDX points to
 * A, RAX counts {@code LOOPS}, and each of {@link #STREAMS} points to a row of B.
 */
abstract class DotProductCode {
  /** The most rows of B at once. */
  static final int MAX_STREAMS = 4;

  // What the code is called with: 64-bit numbers at these bytes of a block in memory.
  static final int C = 0; // address of C[0][0]
  static final int C_ROW = 8; // bytes between rows of C
  static final int C_APART = 16; // between the columns of two streams
  static final int A = 24;
  static final int LOOPS = 32; // over k
  static final int B = 40;
  static final int APART = 48; // bytes between two streams
  static final int GAP = 56; // from where the loop over a row of B ends to the next row
  static final int GROUPS = 64;
  static final int FACTORS = 72; // address of the first row's
  static final int FACTORS_APART = 80; // bytes between two streams'
  static final int CONSTANTS = 88; // address
  static final int MASK = 96; // a bit for each byte of what is left of a row of B
  static final int PARAMETER_BYTES = 104;

  static final X86.Gp[] STREAMS = {RCX, R8, R9, R10};
  private static final X86.Gp[] FACTOR_STREAMS = {RBX, RBP, R12, R13};

  static final int VECTOR_BYTES = 64;
  static final int LINE_BYTES = 64;
  static final int PREFETCH_BYTES = 1024; // ahead of each stream
  static final int REGISTERS = 32;

  /** Registers behind the sums that adding up needs; constants lie behind them. */
  static final int SPARE = 4;

  // Which quarters or floats a shuffle takes.
  private static final int LOWER_HALVES = 0x44;
  private static final int UPPER_HALVES = 0xEE;
  private static final int EVEN_QUARTERS = 0x88;
  private static final int ODD_QUARTERS = 0xDD;
  private static final int SWAP_PAIRS = 0x4E;
  private static final int SWAP_NEIGHBOURS = 0xB1;

  final X86 x = new X86();
  final int rows;
  final int streams;

  /** The first register behind the sums. */
  final int behindSums;

  private final boolean factors;

  /**
   * @param factors whether rows of B have factors, which {@link #nextFactors} reads
   */
  DotProductCode(int rows, int streams, boolean factors) {
    this.rows = rows;
    this.streams = streams;
    this.behindSums = rows * streams;
    this.factors = factors;
  }

  /** Loads what stays in registers; RAX is free. */
  abstract void constants();

  /** The loop over k of a group. */
  abstract void products();

  /** The whole function, of the address of the parameters. */
  final byte[] function() {
    for (int r = 0; r < streams && factors; r++) {
      x.push(FACTOR_STREAMS[r]);
    }
    constants();
    x.mov(RSI, at(RDI, C));
    start(STREAMS, B, APART);
    if (factors) {
      start(FACTOR_STREAMS, FACTORS, FACTORS_APART);
    }
    x.mov(R11, at(RDI, GROUPS));
    int group = x.here();
    group();
    x.sub(R11, 1);
    x.jnz(group);
    x.vzeroupper();
    for (int r = streams - 1; r >= 0 && factors; r--) {
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
    products();
    for (int i = 0; i < rows; i++) {
      fold(i * streams);
    }
    store();
    for (int r = 0; r < streams; r++) {
      x.add(STREAMS[r], at(RDI, GAP));
    }
    x.add(RSI, Float.BYTES);
  }

  /** The next factor of each stream, to registers from {@code first} on. */
  final void nextFactors(int first) {
    for (int r = 0; r < streams; r++) {
      x.vbroadcastss(first + r, at(FACTOR_STREAMS[r]));
      x.add(FACTOR_STREAMS[r], Float.BYTES);
    }
  }

  /** The sums of the chains of a row of A: quarter r of the first register gets stream r's. */
  private void fold(int first) {
    int spare = behindSums;
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
          x.vextractf32x4(behindSums, sum, r);
        }
        x.vmovss(at(RDX), r > 0 ? behindSums : sum);
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
