package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.X86.Gp.R8;
import static dev.javelin.kernels.cpu.X86.Gp.R9;
import static dev.javelin.kernels.cpu.X86.Gp.RCX;
import static dev.javelin.kernels.cpu.X86.Gp.RDI;
import static dev.javelin.kernels.cpu.X86.Gp.RDX;
import static dev.javelin.kernels.cpu.X86.Gp.RSI;
import static dev.javelin.kernels.cpu.X86.at;

import dev.javelin.device.DType;
import dev.javelin.device.MachineCode;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The fp32 tile of 512-bit vectors as machine code: 12 rows x 32 columns of C in 24 registers. It
 * has the bits of {@link MatmulTile512}, twice its rows, and does not wait for a compiler.
 */
final class MatmulTileFma extends MatmulTile {
  static final int ROWS = 12;
  static final int COLS = 32;

  private static final int NEEDED_BITS = 512;
  private static final int VECTORS = 2; // of a row of C
  private static final int VECTOR_BYTES = 64;

  private static final int MASK = 1;
  private static final int LANES = 16;

  /** By what {@link #index} says; each but the first is made when it is needed. */
  private final @Nullable MachineCode[] codes = new MachineCode[2 * ROWS * VECTORS];

  /** Code that fills so many panels of A and one more; there is some only once it was needed. */
  private final @Nullable MachineCode[] copies = new MachineCode[MatmulCopyCode.MAX_PANELS];

  private MatmulTileFma(MachineCode whole) {
    super(ROWS, COLS);
    codes[index(false, ROWS, VECTORS)] = whole;
  }

  /**
   * The tile; empty where Java does not use vectors of 512 bits, which then need not be there, and
   * where there is no machine code.
   */
  static Optional<MatmulTile> load() {
    return VectorWidth.bits() < NEEDED_BITS
        ? Optional.empty()
        : MachineCode.load(code(false, ROWS, VECTORS)).map(MatmulTileFma::new);
  }

  @Override
  int sideBySide(MatmulOperand x) {
    return isAcross(x) ? MatmulCopyCode.MAX_PANELS : 1;
  }

  @Override
  void packA(long panel, MatmulOperand a, int row, int count, int k, int kc, long spare) {
    if (!isAcross(a)) {
      super.packA(panel, a, row, count, k, kc, spare);
      return;
    }
    int most = ROWS * MatmulCopyCode.MAX_PANELS;
    for (int i = 0; i < count; i += most) {
      long to = panel + i / ROWS * panelBytes(ROWS, kc);
      copy(to, a.at(row + i, k), a.strideBytes(), kc, Math.min(most, count - i));
    }
  }

  private static boolean isAcross(MatmulOperand x) {
    return x.type() == DType.F32 && !x.alongK();
  }

  private void copy(long to, long from, long rowBytes, int kc, int lines) {
    int panels = Math.ceilDiv(lines, ROWS);
    MachineCode copy = copies[panels - 1];
    if (copy == null) {
      copy = MachineCode.load(MatmulCopyCode.code(ROWS, panels)).orElseThrow();
      copies[panels - 1] = copy;
    }
    long mask = (1L << lines - (panels - 1) * ROWS) - 1;
    copy.call(to, panelBytes(ROWS, kc), from, rowBytes, kc, mask);
  }

  @Override
  void multiply(long c, long rowBytes, long aPanel, long bPanel, int kc) {
    multiply(c, rowBytes, aPanel, bPanel, kc, ROWS, COLS, false, false, 0);
  }

  @Override
  void multiply(
      long c,
      long rowBytes,
      long aPanel,
      long bPanel,
      int kc,
      int rows,
      int cols,
      boolean add,
      boolean rounded,
      long spare) {
    int vectors = Math.ceilDiv(cols, LANES);
    int index = index(add, rows, vectors);
    MachineCode code = codes[index];
    if (code == null) { // two threads may do this at once, and either code is right
      code = MachineCode.load(code(add, rows, vectors)).orElseThrow();
      codes[index] = code;
    }
    code.call(c, rowBytes, aPanel, bPanel, kc, mask(cols));
  }

  /** The columns of the last vector that exist. */
  static int mask(int cols) {
    return (1 << cols - (Math.ceilDiv(cols, LANES) - 1) * LANES) - 1;
  }

  private static int index(boolean add, int rows, int vectors) {
    return ((add ? ROWS : 0) + rows - 1) * VECTORS + vectors - 1;
  }

  /**
   * {@code (c, rowBytes, aPanel, bPanel, kc, mask)}, for a corner of so many rows and vectors: the
   * first registers are the sums, row by row, zmm24 and zmm25 a row of B's panel, zmm26 to zmm31
   * elements of A in turn.
   *
   * @param add whether C is added to; otherwise it is not read
   */
  static byte[] code(boolean add, int rows, int vectors) {
    X86 x = new X86();
    x.kmovd(MASK, R9);
    for (int sum = 0; sum < rows * vectors; sum++) {
      x.vpxord(sum, sum, sum);
    }
    int b = ROWS * VECTORS;
    int firstA = b + VECTORS;
    int loop = x.here();
    for (int v = 0; v < vectors; v++) {
      x.vmovups(b + v, at(RCX, v * VECTOR_BYTES));
    }
    for (int row = 0; row < rows; row++) {
      int a = firstA + row % (ROWS / 2);
      x.vbroadcastss(a, at(RDX, row * Float.BYTES));
      for (int v = 0; v < vectors; v++) {
        x.vfmadd231ps(row * vectors + v, a, b + v);
      }
    }
    x.add(RCX, COLS * Float.BYTES);
    x.add(RDX, ROWS * Float.BYTES);
    x.sub(R8, 1);
    x.jnz(loop);
    for (int row = 0; row < rows; row++) {
      for (int v = 0; v < vectors; v++) {
        int sum = row * vectors + v;
        int mask = v == vectors - 1 ? MASK : 0;
        if (add) {
          x.vaddps(sum, mask, sum, at(RDI, v * VECTOR_BYTES));
        }
        x.vmovups(at(RDI, v * VECTOR_BYTES), mask, sum);
      }
      x.add(RDI, RSI);
    }
    x.vzeroupper();
    x.ret();
    return x.bytes();
  }
}
