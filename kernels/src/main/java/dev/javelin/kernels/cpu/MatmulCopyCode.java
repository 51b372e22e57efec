package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.X86.Gp.R11;
import static dev.javelin.kernels.cpu.X86.Gp.R8;
import static dev.javelin.kernels.cpu.X86.Gp.R9;
import static dev.javelin.kernels.cpu.X86.Gp.RAX;
import static dev.javelin.kernels.cpu.X86.Gp.RCX;
import static dev.javelin.kernels.cpu.X86.Gp.RDI;
import static dev.javelin.kernels.cpu.X86.Gp.RDX;
import static dev.javelin.kernels.cpu.X86.Gp.RSI;
import static dev.javelin.kernels.cpu.X86.at;

/**
 * Packs fp32 lines that are stored across k, as {@link MatmulPack} does, in machine code: a stored
 * row becomes a row of each of several panels, so that it is read as it lies and once.
 */
final class MatmulCopyCode {
  /** Panels that one call can fill. */
  static final int MAX_PANELS = 8;

  /** Lines of a panel, at most: one register. */
  static final int MAX_WIDTH = 16;

  // Masks: lines of the last panel, and of the others.
  private static final int LAST = 1;
  private static final int WHOLE = 2;

  private MatmulCopyCode() {}

  /**
   * {@code (panels, panelBytes, rows, rowBytes, kc, mask)}: the mask has a bit for each line of the
   * last panel, of which the others become zeros.
   */
  static byte[] code(int width, int panels) {
    X86 x = new X86();
    x.kmovd(LAST, R9);
    x.mov(R11, (1 << width) - 1);
    x.kmovd(WHOLE, R11);
    int loop = x.here();
    x.mov(RAX, RDI);
    for (int panel = 0; panel < panels; panel++) {
      int sum = panel; // a register of its own
      x.vmovups(sum, panel == panels - 1 ? LAST : WHOLE, at(RDX, panel * width * Float.BYTES));
      x.vmovups(at(RAX), WHOLE, sum);
      x.add(RAX, RSI);
    }
    x.add(RDI, width * Float.BYTES);
    x.add(RDX, RCX);
    x.sub(R8, 1);
    x.jnz(loop);
    x.vzeroupper();
    x.ret();
    return x.bytes();
  }
}
