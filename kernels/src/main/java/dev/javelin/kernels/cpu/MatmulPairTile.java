package dev.javelin.kernels.cpu;

/**
 * A tile of bf16 products: its panels hold bf16 in pairs of neighbouring k, as the processors' bf16
 * instructions read them (see {@link MatmulPackPairs}). A k that is missing at the end is zero.
 *
 * <p>An element of C is a chain {@code c += a[2p+1] · b[2p+1]; c += a[2p] · b[2p]} over the pairs p
 * in order. The product of two bf16 is exact in fp32, so each step rounds once, fused or not. What
 * is too small for a normal fp32 number counts as zero, in the operands and in the sums.
 */
abstract non-sealed class MatmulPairTile extends MatmulTile {
  private final int kStep;

  /**
   * @param kStep elements of k that the tile takes at once: a multiple of 2
   */
  MatmulPairTile(int rows, int cols, int kStep) {
    super(rows, cols);
    this.kStep = kStep;
  }

  @Override
  final int kStep() {
    return kStep;
  }

  /** Pairs in a panel: whole steps, the last ones zero. */
  final int pairs(int kc) {
    return Math.ceilDiv(kc, kStep) * kStep / 2;
  }

  @Override
  final long panelBytes(int width, int kc) {
    return 4L * width * pairs(kc);
  }

  @Override
  long spareBytes(MatmulOperand a, MatmulOperand b, int kc) {
    return 0;
  }

  @Override
  void packA(long panel, MatmulOperand a, int row, int count, int k, int kc, long spare) {
    pack(panel, rows, a, row, count, k, kc);
  }

  @Override
  void packB(long panel, MatmulOperand b, int col, int count, int k, int kc, long spare) {
    pack(panel, cols, b, col, count, k, kc);
  }

  /** Packs lines into as many panels of {@code width} as they need. */
  void pack(long panel, int width, MatmulOperand x, int line, int count, int k, int kc) {
    for (int i = 0; i < count; i += width) {
      long to = panel + i / width * panelBytes(width, kc);
      MatmulPackPairs.panel(to, width, x, line + i, Math.min(width, count - i), k, kc, pairs(kc));
    }
  }
}
