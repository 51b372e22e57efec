package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.X86.Gp.R8;
import static dev.javelin.kernels.cpu.X86.Gp.RCX;
import static dev.javelin.kernels.cpu.X86.Gp.RDI;
import static dev.javelin.kernels.cpu.X86.Gp.RDX;
import static dev.javelin.kernels.cpu.X86.Gp.RSI;
import static dev.javelin.kernels.cpu.X86.at;

import dev.javelin.device.MachineCode;
import java.util.Optional;

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

  private final MachineCode code;

  private MatmulTileFma(MachineCode code) {
    super(ROWS, COLS);
    this.code = code;
  }

  /**
   * The tile; empty where Java does not use vectors of 512 bits, which then need not be there, and
   * where there is no machine code.
   */
  static Optional<MatmulTile> load() {
    return VectorWidth.bits() < NEEDED_BITS
        ? Optional.empty()
        : MachineCode.load(code()).map(MatmulTileFma::new);
  }

  @Override
  void multiply(long c, long rowBytes, long aPanel, long bPanel, int kc) {
    code.call(c, rowBytes, aPanel, bPanel, kc, 0);
  }

  /**
   * {@code (c, rowBytes, aPanel, bPanel, kc)}: zmm0 to zmm23 are the sums, row by row, zmm24 and
   * zmm25 a row of B's panel, zmm26 to zmm31 elements of A in turn.
   */
  static byte[] code() {
    X86 x = new X86();
    for (int sum = 0; sum < ROWS * VECTORS; sum++) {
      x.vpxord(sum, sum, sum);
    }
    int b = ROWS * VECTORS;
    int firstA = b + VECTORS;
    int loop = x.here();
    for (int v = 0; v < VECTORS; v++) {
      x.vmovups(b + v, at(RCX, v * VECTOR_BYTES));
    }
    for (int row = 0; row < ROWS; row++) {
      int a = firstA + row % (ROWS / 2);
      x.vbroadcastss(a, at(RDX, row * Float.BYTES));
      for (int v = 0; v < VECTORS; v++) {
        x.vfmadd231ps(row * VECTORS + v, a, b + v);
      }
    }
    x.add(RCX, COLS * Float.BYTES);
    x.add(RDX, ROWS * Float.BYTES);
    x.sub(R8, 1);
    x.jnz(loop);
    for (int row = 0; row < ROWS; row++) {
      for (int v = 0; v < VECTORS; v++) {
        x.vmovups(at(RDI, v * VECTOR_BYTES), row * VECTORS + v);
      }
      x.add(RDI, RSI);
    }
    x.vzeroupper();
    x.ret();
    return x.bytes();
  }
}
