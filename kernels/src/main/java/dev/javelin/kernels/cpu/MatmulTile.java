package dev.javelin.kernels.cpu;

import jdk.incubator.vector.FloatVector;

/**
 * The register tile of the matrix product: {@code C[rows, cols] = Ap · Bp} over packed panels,
 * which are read once, front to back.
 *
 * <p>The tiles of fp32, for operands of any type, read a panel {@code [kc, rows]} of A and a panel
 * {@code [kc, cols]} of B; every element of C is one chain of fused multiply-adds in the order of k
 * that starts at zero. So all of them give the same bits, whatever their shape. The tiles of bf16
 * are {@link MatmulPairTile}s.
 *
 * <p>A tile only ever replaces C: a second half of the method that adds would be too much for the
 * first compiler, which then gives up on the method and keeps it from the second.
 */
abstract sealed class MatmulTile
    permits MatmulTileFma, MatmulTile512, MatmulTile256, MatmulTile128, MatmulPairTile {
  final int rows;
  final int cols;

  MatmulTile(int rows, int cols) {
    this.rows = rows;
    this.cols = cols;
  }

  /** The tile for registers of {@code bits} bits. */
  static MatmulTile of(int bits) {
    return switch (bits) {
      case 512 -> new MatmulTile512();
      case 256 -> new MatmulTile256();
      case 128 -> new MatmulTile128();
      default ->
          throw new IllegalStateException(
              "matmul: needs vectors of 128, 256 or 512 bits, this machine has " + bits);
    };
  }

  /** The fastest tile of fp32 products here. */
  static MatmulTile fastest() {
    return MatmulTileFma.load().orElseGet(() -> of(VectorWidth.bits()));
  }

  /** Elements of k that it takes at once: passes over k are multiples of it. */
  int kStep() {
    return 1;
  }

  /** Bytes of a panel of {@code width} lines. */
  long panelBytes(int width, int kc) {
    return 4L * width * kc;
  }

  /** Bytes of memory that {@link #packA} and {@link #packB} want at {@code spare}. */
  long spareBytes(MatmulOperand a, MatmulOperand b, int kc) {
    return Math.max(MatmulPack.spareBytes(a, rows, kc), MatmulPack.spareBytes(b, cols, kc));
  }

  /**
   * Packs {@code count} rows of A from {@code row} on, over {@code [k, k + kc)}, into as many
   * panels as they need.
   */
  void packA(long panel, MatmulOperand a, int row, int count, int k, int kc, long spare) {
    for (int i = 0; i < count; i += rows) {
      long to = panel + i / rows * panelBytes(rows, kc);
      MatmulPack.panel(to, rows, a, row + i, Math.min(rows, count - i), k, kc, spare);
    }
  }

  /** Packs columns of B likewise. */
  void packB(long panel, MatmulOperand b, int col, int count, int k, int kc, long spare) {
    for (int i = 0; i < count; i += cols) {
      long to = panel + i / cols * panelBytes(cols, kc);
      MatmulPack.panel(to, cols, b, col + i, Math.min(cols, count - i), k, kc, spare);
    }
  }

  /**
   * This tile, or one with the same bits that reads factors where they lie instead of packed, as
   * far as that is faster for a product of {@code m} rows and {@code n} columns.
   */
  MatmulTile reading(MatmulOperand a, MatmulOperand b, int m, int n) {
    return this;
  }

  /**
   * Whether {@link #multiply} takes the address of the first element of A in place of a panel's.
   */
  boolean readsA() {
    return false;
  }

  /** Likewise for B. */
  boolean readsB() {
    return false;
  }

  /** How many panels it is best to pack at once. */
  int sideBySide(MatmulOperand x) {
    return 1;
  }

  /**
   * Replaces a tile of C by the product of two panels.
   *
   * @param c address of the upper left element of the tile
   * @param rowBytes bytes between two rows of C
   * @param aPanel address of what {@link #packA} has packed; {@code bPanel} likewise
   */
  abstract void multiply(long c, long rowBytes, long aPanel, long bPanel, int kc);

  /** Whether {@link #multiply} can round to bf16 what it writes. */
  boolean rounds() {
    return false;
  }

  /**
   * Replaces a corner of a tile of C, or adds to it; no other memory is written.
   *
   * @param rows of the corner, {@code cols} likewise
   * @param add whether to add
   * @param rounded whether C is bf16: where {@link #rounds}, and not added to
   * @param spare memory for one tile
   */
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
    if (!add && rows == this.rows && cols == this.cols) {
      multiply(c, rowBytes, aPanel, bPanel, kc);
    } else {
      multiply(spare, 4L * this.cols, aPanel, bPanel, kc);
      merge(c, rowBytes, spare, 4L * this.cols, rows, cols, add);
    }
  }

  /** Copies a matrix of floats, or adds it. */
  static void merge(
      long to, long toBytes, long from, long fromBytes, int rows, int cols, boolean add) {
    int whole = Lanes.SPECIES.loopBound(cols);
    for (int i = 0; i < rows; i++) {
      long dst = to + i * toBytes;
      long src = from + i * fromBytes;
      for (int j = 0; j < whole; j += Lanes.COUNT) {
        FloatVector v = Lanes.load(Ram.ALL, src + 4L * j);
        Lanes.store(add ? Lanes.load(Ram.ALL, dst + 4L * j).add(v) : v, Ram.ALL, dst + 4L * j);
      }
      for (int j = whole; j < cols; j++) {
        float v = Ram.ALL.get(Ram.FLOAT, src + 4L * j);
        float sum = add ? Ram.ALL.get(Ram.FLOAT, dst + 4L * j) + v : v;
        Ram.ALL.set(Ram.FLOAT, dst + 4L * j, sum);
      }
    }
  }
}
