package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.X86.Gp.R10;
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
 * Packs bf16 lines that are stored across k, as {@link MatmulPackPairs} does, in machine code: two
 * stored rows become a row of pairs in each of several panels. With the panels side by side a row
 * is read as it lies, and not a part of a cache line at a time.
 */
final class MatmulWeaveCode {
  /** Panels that one call can fill. */
  static final int MAX_PANELS = 8;

  private static final int LANES = 16;
  private static final int VECTOR_BYTES = 64;
  private static final int PAIR_BYTES = 4;

  // Masks: words of the last panel; words of the others and dwords of all; and the permutations.
  private static final int LAST = 1;
  private static final int WHOLE = 2;
  private static final int ORDER = 30;

  private MatmulWeaveCode() {}

  /**
   * {@code (panels, panelBytes, rows, rowBytes, pairs, mask)}: the mask has a bit for each line of
   * the last panel, of which the others become zeros.
   *
   * @param width lines of a panel: at most 16, or 32
   */
  static byte[] code(int width, int panels) {
    // The constants follow the code, so its length is needed first.
    byte[] code = code(width, panels, 0);
    code = code(width, panels, code.length);
    byte[] all = java.util.Arrays.copyOf(code, code.length + 2 * VECTOR_BYTES);
    for (int i = 0; i < 2 * LANES; i++) {
      all[code.length + 4 * i] = (byte) i; // the even row's
      all[code.length + 4 * i + 2] = (byte) (i + 2 * LANES); // the odd row's
    }
    return all;
  }

  private static byte[] code(int width, int panels, int constants) {
    int vectors = Math.ceilDiv(width, LANES);
    X86 x = new X86();
    for (int v = 0; v < vectors; v++) {
      x.vmovupsFromCode(ORDER + v, constants + v * VECTOR_BYTES);
    }
    x.kmovd(LAST, R9);
    x.mov(R11, (int) ((1L << width) - 1));
    x.kmovd(WHOLE, R11);
    x.mov(R10, RDX);
    x.add(R10, RCX);
    int loop = x.here();
    x.mov(RAX, RDI);
    for (int panel = 0; panel < panels; panel++) {
      int mask = panel == panels - 1 ? LAST : WHOLE;
      int at = panel * width * 2;
      x.vmovdqu16(vectors, mask, at(R10, at));
      for (int v = 0; v < vectors; v++) {
        x.vmovdqu16(v, mask, at(RDX, at));
        x.vpermt2w(v, ORDER + v, vectors);
        x.vmovups(at(RAX, v * VECTOR_BYTES), WHOLE, v);
      }
      x.add(RAX, RSI);
    }
    x.add(RDI, width * PAIR_BYTES);
    for (int row = 0; row < 2; row++) {
      x.add(RDX, RCX);
      x.add(R10, RCX);
    }
    x.sub(R8, 1);
    x.jnz(loop);
    x.vzeroupper();
    x.ret();
    return x.bytes();
  }
}
