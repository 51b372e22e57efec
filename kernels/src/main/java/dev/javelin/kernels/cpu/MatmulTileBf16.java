package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.X86.Gp.R8;
import static dev.javelin.kernels.cpu.X86.Gp.R9;
import static dev.javelin.kernels.cpu.X86.Gp.RAX;
import static dev.javelin.kernels.cpu.X86.Gp.RCX;
import static dev.javelin.kernels.cpu.X86.Gp.RDI;
import static dev.javelin.kernels.cpu.X86.Gp.RDX;
import static dev.javelin.kernels.cpu.X86.Gp.RSI;
import static dev.javelin.kernels.cpu.X86.at;

import dev.javelin.device.MachineCode;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The tile of AVX512-BF16: 12 rows x 32 columns of C in 24 registers, k in pairs, as machine code.
 * Corners have codes of their own: fewer rows, or one vector of columns and not two, take less
 * time, and no code writes more than its corner. Each is assembled when it is first wanted.
 */
class MatmulTileBf16 extends MatmulPairTile {
  static final int ROWS = 12;
  static final int COLS = 32;

  private static final int VECTORS = 2; // of a row of C
  private static final int VECTOR_BYTES = 64;
  private static final int LANES = 16;
  private static final int PAIR_BYTES = 4;
  private static final int MASK = 1;

  /** What becomes of the sums. */
  enum Finish {
    REPLACE(0),
    ADD(1),
    ROUND(2);

    private final int number;

    Finish(int number) {
      this.number = number;
    }
  }

  private final @Nullable MachineCode[] weaves = new MachineCode[2 * MatmulWeaveCode.MAX_PANELS];
  private final @Nullable MachineCode[] codes =
      new MachineCode[Finish.values().length * ROWS * VECTORS];

  MatmulTileBf16() {
    super(ROWS, COLS, 2);
  }

  /** The tile; empty where the system refuses executable memory. */
  static Optional<MatmulTileBf16> load() {
    MatmulTileBf16 tile = new MatmulTileBf16();
    int whole = index(Finish.REPLACE, ROWS, VECTORS);
    tile.codes[whole] = MachineCode.load(code(Finish.REPLACE, ROWS, VECTORS)).orElse(null);
    return Optional.of(tile).filter(t -> t.codes[whole] != null);
  }

  private static int index(Finish finish, int rows, int vectors) {
    return (finish.number * ROWS + rows - 1) * VECTORS + vectors - 1;
  }

  @Override
  boolean rounds() {
    return true;
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
    Finish finish = rounded ? Finish.ROUND : add ? Finish.ADD : Finish.REPLACE;
    int vectors = cols > LANES ? 2 : 1;
    int masked = rounded || vectors == 1 ? cols : cols - LANES;
    int mask = (int) ((1L << masked) - 1);
    call(finish, rows, vectors, c, rowBytes, aPanel, bPanel, pairs(kc), mask);
  }

  @Override
  int sideBySide(MatmulOperand x) {
    return x.alongK() ? 1 : MatmulWeaveCode.MAX_PANELS;
  }

  @Override
  void pack(long panel, int width, MatmulOperand x, int line, int count, int k, int kc) {
    if (x.alongK()) {
      super.pack(panel, width, x, line, count, k, kc);
      return;
    }
    int whole = kc / 2;
    long panelBytes = panelBytes(width, kc);
    int most = width * MatmulWeaveCode.MAX_PANELS;
    for (int i = 0; i < count; i += most) {
      int lines = Math.min(most, count - i);
      long to = panel + i / width * panelBytes;
      if (whole > 0) {
        weave(width, to, panelBytes, x.at(line + i, k), x.strideBytes(), whole, lines);
      }
      for (int j = 0; j < lines && kc % 2 != 0; j += width) {
        long last = to + j / width * panelBytes + (long) PAIR_BYTES * width * whole;
        long from = x.at(line + i + j, k + kc - 1);
        MatmulPackPairs.half(last, width, from, 2, Math.min(width, lines - j));
      }
    }
  }

  void weave(int width, long to, long panelBytes, long from, long rowBytes, int pairs, int lines) {
    int panels = Math.ceilDiv(lines, width);
    int index = (width == ROWS ? 0 : MatmulWeaveCode.MAX_PANELS) + panels - 1;
    MachineCode code = weaves[index];
    if (code == null) {
      code = MachineCode.load(MatmulWeaveCode.code(width, panels)).orElseThrow();
      weaves[index] = code;
    }
    long mask = (1L << lines - (panels - 1) * width) - 1;
    code.call(to, panelBytes, from, rowBytes, pairs, mask);
  }

  void call(
      Finish finish,
      int rows,
      int vectors,
      long c,
      long rowBytes,
      long aPanel,
      long bPanel,
      int pairs,
      int mask) {
    int index = index(finish, rows, vectors);
    MachineCode code = codes[index];
    if (code == null) { // two threads may do this at once, and either code is right
      code = MachineCode.load(code(finish, rows, vectors)).orElseThrow();
      codes[index] = code;
    }
    code.call(c, rowBytes, aPanel, bPanel, pairs, mask);
  }

  /**
   * {@code (c, rowBytes, aPanel, bPanel, pairs, mask)}: zmm0 to zmm23 are the sums, row by row,
   * zmm24 and zmm25 the pairs of 32 columns of B, zmm26 to zmm31 pairs of A in turn. The mask tells
   * which columns of the last vector exist, or of the row where it is rounded.
   */
  static byte[] code(Finish finish, int rows, int vectors) {
    X86 x = new X86();
    x.kmovd(MASK, R9);
    for (int sum = 0; sum < rows * vectors; sum++) {
      x.vpxord(sum, sum, sum);
    }
    x.mov(RAX, RDI);
    for (int row = 0; row < rows; row++) { // C is wanted at the end, and is then there
      for (int v = 0; v < (finish == Finish.ROUND ? 1 : vectors); v++) {
        x.prefetcht0(at(RAX, v * VECTOR_BYTES));
      }
      x.add(RAX, RSI);
    }
    int b = ROWS * VECTORS;
    int firstA = b + VECTORS;
    int loop = x.here();
    for (int v = 0; v < vectors; v++) {
      x.vmovups(b + v, at(RCX, v * VECTOR_BYTES));
    }
    for (int row = 0; row < rows; row++) {
      int a = firstA + row % (ROWS / 2); // each pair is loaded once: a Zen 5 waits for loads else
      x.vbroadcastss(a, at(RDX, row * PAIR_BYTES));
      for (int v = 0; v < vectors; v++) {
        x.vdpbf16ps(row * vectors + v, b + v, a);
      }
    }
    x.add(RCX, COLS * PAIR_BYTES);
    x.add(RDX, ROWS * PAIR_BYTES);
    x.sub(R8, 1);
    x.jnz(loop);
    for (int row = 0; row < rows; row++) {
      int first = row * vectors;
      int last = first + vectors - 1;
      if (finish == Finish.ROUND) {
        x.vcvtne2ps2bf16(first, last, first);
        x.vmovdqu16(at(RDI), MASK, first);
      } else {
        for (int sum = first; sum <= last; sum++) {
          int mask = sum == last ? MASK : 0;
          X86.Mem to = at(RDI, (sum - first) * VECTOR_BYTES);
          if (finish == Finish.ADD) {
            x.vaddps(sum, mask, sum, to);
          }
          x.vmovups(to, mask, sum);
        }
      }
      x.add(RDI, RSI);
    }
    x.vzeroupper();
    x.ret();
    return x.bytes();
  }
}
