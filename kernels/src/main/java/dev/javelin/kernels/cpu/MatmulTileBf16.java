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
 * The tile of AVX512-BF16: 12 rows x 32 columns of C in 24 registers, k in pairs, as machine code.
 */
final class MatmulTileBf16 extends MatmulPairTile {
  static final int ROWS = 12;
  static final int COLS = 32;

  private static final int VECTORS = 2; // of a row of C
  private static final int VECTOR_BYTES = 64;
  private static final int PAIR_BYTES = 4;

  private final MachineCode code;

  private MatmulTileBf16(MachineCode code) {
    super(ROWS, COLS, 2);
    this.code = code;
  }

  /** The tile; empty where the system refuses executable memory. */
  static Optional<MatmulTileBf16> load() {
    return MachineCode.load(code()).map(MatmulTileBf16::new);
  }

  @Override
  void multiply(long c, long rowBytes, long aPanel, long bPanel, int kc) {
    code.call(c, rowBytes, aPanel, bPanel, pairs(kc), 0);
  }

  /**
   * {@code (c, rowBytes, aPanel, bPanel, pairs)}: zmm0 to zmm23 are the sums, row by row, zmm24 and
   * zmm25 the pairs of 32 columns of B.
   */
  static byte[] code() {
    X86 x = new X86();
    for (int sum = 0; sum < ROWS * VECTORS; sum++) {
      x.vpxord(sum, sum, sum);
    }
    int b = ROWS * VECTORS;
    int loop = x.here();
    for (int v = 0; v < VECTORS; v++) {
      x.vmovups(b + v, at(RCX, v * VECTOR_BYTES));
    }
    for (int row = 0; row < ROWS; row++) {
      for (int v = 0; v < VECTORS; v++) {
        x.vdpbf16psBroadcast(row * VECTORS + v, b + v, at(RDX, row * PAIR_BYTES));
      }
    }
    x.add(RCX, COLS * PAIR_BYTES);
    x.add(RDX, ROWS * PAIR_BYTES);
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
