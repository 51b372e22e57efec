package dev.javelin.kernels.cpu;

/**
 * The register tile of the matrix product: {@code C[rows, cols] = Ap · Bp} over packed panels.
 *
 * <p>A panel {@code [kc, rows]} of A and a panel {@code [kc, cols]} of B are read once, front to
 * back; every element of C is one chain of fused multiply-adds in the order of k that starts at
 * zero. So all tiles give the same bits, whatever their shape.
 *
 * <p>A tile only ever replaces C: a second half of the method that adds would be too much for the
 * first compiler, which then gives up on the method and keeps it from the second.
 */
abstract sealed class MatmulTile permits MatmulTile512, MatmulTile256, MatmulTile128 {
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

  /**
   * Replaces a tile of C by the product of two panels.
   *
   * @param c address of the upper left element of the tile
   * @param rowBytes bytes between two rows of C
   * @param aPanel address of fp32 {@code [kc, rows]}
   * @param bPanel address of fp32 {@code [kc, cols]}
   */
  abstract void multiply(long c, long rowBytes, long aPanel, long bPanel, int kc);
}
