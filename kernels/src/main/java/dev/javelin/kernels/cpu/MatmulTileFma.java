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
import java.util.Arrays;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The fp32 tile of 512-bit vectors as machine code: 12 rows x 32 columns of C in 24 registers. It
 * has the bits of {@link MatmulTile512}, twice its rows, and does not wait for a compiler.
 *
 * <p>A factor of which each number is used by a few tiles only is not worth packing: {@link
 * #reading} is a tile with code that reads it where it lies, for one distance between stored rows.
 */
final class MatmulTileFma extends MatmulTile {
  static final int ROWS = 12;
  static final int COLS = 32;

  private static final int NEEDED_BITS = 512;
  private static final int VECTORS = 2; // of a row of C
  private static final int VECTOR_BYTES = 64;

  private static final int MASK = 1;
  private static final int LANES = 16;

  /** Tiles that read factors in place, at most: each has pages of code of its own. */
  private static final int MAX_READERS = 32;

  // Reading in place pays up to so many lines of the other factor (measured), unless stored rows
  // are so far apart that they are in each other's way in the caches.
  private static final int MOST_COLS = 256;
  private static final int MOST_ROWS = 512;
  private static final int CONFLICT_ALONG_K = 4096;
  private static final int CONFLICT_ACROSS_K = 2048;
  private static final int MOST_BYTES = Integer.MAX_VALUE / ROWS; // what the code can say

  private final Layout layout;
  private volatile MatmulTileFma[] readers = {};

  /** By what {@link #index} says; each but the first is made when it is needed. */
  private final @Nullable MachineCode[] codes = new MachineCode[2 * ROWS * VECTORS];

  /** Code that fills so many panels of A and one more; there is some only once it was needed. */
  private final @Nullable MachineCode[] copies = new MachineCode[MatmulCopyCode.MAX_PANELS];

  /**
   * Where the code finds the factors.
   *
   * @param aRowBytes from a row of A to the next
   * @param aStepBytes from an element of a row of A to the next
   * @param bStepBytes from an element of a column of B to the next; those of a row are neighbours
   */
  record Layout(int aRowBytes, int aStepBytes, int bStepBytes) {
    static final Layout PACKED = new Layout(Float.BYTES, ROWS * Float.BYTES, COLS * Float.BYTES);

    boolean readsA() {
      return aRowBytes != PACKED.aRowBytes || aStepBytes != PACKED.aStepBytes;
    }

    boolean readsB() {
      return bStepBytes != PACKED.bStepBytes;
    }
  }

  private MatmulTileFma(Layout layout) {
    super(ROWS, COLS);
    this.layout = layout;
  }

  /**
   * The tile; empty where Java does not use vectors of 512 bits, which then need not be there, and
   * where there is no machine code.
   */
  static Optional<MatmulTile> load() {
    return VectorWidth.bits() < NEEDED_BITS
        ? Optional.empty()
        : MachineCode.load(code(Layout.PACKED, false, ROWS, VECTORS))
            .map(
                whole -> {
                  MatmulTileFma tile = new MatmulTileFma(Layout.PACKED);
                  tile.codes[index(false, ROWS, VECTORS)] = whole;
                  return tile;
                });
  }

  @Override
  MatmulTile reading(MatmulOperand a, MatmulOperand b, int m, int n) {
    long aBytes = a.strideBytes();
    long bBytes = b.strideBytes();
    boolean readsA =
        a.type() == DType.F32
            && n <= MOST_COLS
            && aBytes % (a.alongK() ? CONFLICT_ALONG_K : CONFLICT_ACROSS_K) != 0
            && aBytes <= MOST_BYTES;
    boolean readsB =
        isAcross(b) && m <= MOST_ROWS && bBytes % CONFLICT_ACROSS_K != 0 && bBytes <= MOST_BYTES;
    if (!readsA && !readsB) {
      return this;
    }
    int aRow = readsA && a.alongK() ? (int) aBytes : Layout.PACKED.aRowBytes;
    int aStep = !readsA ? Layout.PACKED.aStepBytes : a.alongK() ? Float.BYTES : (int) aBytes;
    int bStep = readsB ? (int) bBytes : Layout.PACKED.bStepBytes;
    for (MatmulTileFma reader : readers) {
      if (reader.has(aRow, aStep, bStep)) {
        return reader;
      }
    }
    return reader(new Layout(aRow, aStep, bStep));
  }

  private boolean has(int aRow, int aStep, int bStep) { // no object to compare: once a product
    return layout.aRowBytes == aRow && layout.aStepBytes == aStep && layout.bStepBytes == bStep;
  }

  private synchronized MatmulTile reader(Layout layout) {
    MatmulTileFma[] now = readers;
    for (MatmulTileFma reader : now) {
      if (reader.layout.equals(layout)) {
        return reader;
      }
    }
    if (now.length == MAX_READERS) {
      return this;
    }
    MatmulTileFma reader = new MatmulTileFma(layout);
    MatmulTileFma[] more = Arrays.copyOf(now, now.length + 1);
    more[now.length] = reader;
    readers = more;
    return reader;
  }

  @Override
  boolean readsA() {
    return layout.readsA();
  }

  @Override
  boolean readsB() {
    return layout.readsB();
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
      code = MachineCode.load(code(layout, add, rows, vectors)).orElseThrow();
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
  static byte[] code(Layout layout, boolean add, int rows, int vectors) {
    X86 x = new X86();
    x.kmovd(MASK, R9);
    for (int sum = 0; sum < rows * vectors; sum++) {
      x.vpxord(sum, sum, sum);
    }
    int b = ROWS * VECTORS;
    int firstA = b + VECTORS;
    int loop = x.here();
    for (int v = 0; v < vectors; v++) {
      if (layout.readsB() && v == vectors - 1) {
        x.vmovups(b + v, MASK, at(RCX, v * VECTOR_BYTES));
      } else {
        x.vmovups(b + v, at(RCX, v * VECTOR_BYTES));
      }
    }
    for (int row = 0; row < rows; row++) {
      int a = firstA + row % (ROWS / 2);
      x.vbroadcastss(a, at(RDX, row * layout.aRowBytes));
      for (int v = 0; v < vectors; v++) {
        x.vfmadd231ps(row * vectors + v, a, b + v);
      }
    }
    x.add(RCX, layout.bStepBytes);
    x.add(RDX, layout.aStepBytes);
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
