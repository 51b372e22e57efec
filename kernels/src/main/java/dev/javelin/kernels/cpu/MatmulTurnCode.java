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
import org.jspecify.annotations.Nullable;

/**
 * Turns lines stored along k, as {@link MatmulPack} does, in machine code: blocks of 16 lines x 16
 * of k in registers. First fours are turned within quarters of a register, then quarters change
 * places.
 *
 * <pre>
 * a0 a1 a2 a3 | a4 …       a0 b0 c0 d0 | a4 b4 …       a0 b0 c0 d0 | e0 f0 …
 * b0 b1 b2 b3 | b4 …   →   a1 b1 c1 d1 | a5 b5 …   →   a1 b1 c1 d1 | e1 f1 …
 * </pre>
 */
final class MatmulTurnCode {
  /** Lines, and elements of k, of a block. */
  static final int BLOCK = 16;

  private static final int NEEDED_BITS = 512;
  private static final int MASK = 1;
  private static final int FOUR = 4;

  // Of two registers, for each two floats or quarters of the first, then two of the second.
  private static final int LOWER = 0x44;
  private static final int UPPER = 0xEE;
  private static final int EVEN = 0x88;
  private static final int ODD = 0xDD;

  private static final boolean IS_HERE =
      VectorWidth.bits() >= NEEDED_BITS && MachineCode.load(code(1)).isPresent();

  /** By the lines that exist; made when they are needed. */
  private static final @Nullable MachineCode[] CODES = new MachineCode[BLOCK + 1];

  private MatmulTurnCode() {}

  /**
   * {@link MatmulPack#turn}.
   *
   * @return whether it was done: there is machine code, and {@code kc} is at least a block
   */
  static boolean turn(long panel, int width, long from, long rowBytes, int count, int kc) {
    if (!IS_HERE || kc < BLOCK) {
      return false;
    }
    long toBytes = 4L * width;
    int last = kc - BLOCK; // the last block may overlap the one before
    for (int i = 0; i < width; i += BLOCK) {
      MachineCode code = get(Math.clamp(count - i, 0, BLOCK));
      long mask = (1L << Math.min(BLOCK, width - i)) - 1;
      long to = panel + 4L * i;
      long lines = from + i * rowBytes;
      code.call(to, toBytes, lines, rowBytes, kc / BLOCK, mask);
      if (kc % BLOCK != 0) {
        code.call(to + last * toBytes, toBytes, lines + 4L * last, rowBytes, 1, mask);
      }
    }
    return true;
  }

  private static MachineCode get(int lines) {
    MachineCode code = CODES[lines];
    if (code == null) { // two threads may do this at once, and either code is right
      code = MachineCode.load(code(lines)).orElseThrow();
      CODES[lines] = code;
    }
    return code;
  }

  /**
   * {@code (panel, panelRowBytes, lines, lineBytes, blocks, mask)}: the mask has a bit for each
   * line that the panel has room for; those beyond {@code lines} become zeros.
   */
  static byte[] code(int lines) {
    X86 x = new X86();
    x.kmovd(MASK, R9);
    int block = x.here();
    x.mov(RAX, RDX);
    for (int line = 0; line < BLOCK; line++) {
      if (line < lines) {
        x.vmovups(line, at(RAX));
        x.add(RAX, RCX);
      } else {
        x.vpxord(line, line, line);
      }
    }
    int spare = BLOCK;
    for (int a = 0; a < lines; a += FOUR) {
      x.vshufps(spare, a, a + 1, LOWER);
      x.vshufps(spare + 1, a + 2, a + 3, LOWER);
      x.vshufps(spare + 2, a, a + 1, UPPER);
      x.vshufps(spare + 3, a + 2, a + 3, UPPER);
      x.vshufps(a, spare, spare + 1, EVEN);
      x.vshufps(a + 1, spare, spare + 1, ODD);
      x.vshufps(a + 2, spare + 2, spare + 3, EVEN);
      x.vshufps(a + 3, spare + 2, spare + 3, ODD);
    }
    for (int j = 0; j < FOUR; j++) { // of k = 4 · quarter + j: lines 0 to 7, and 8 to 15
      int to = spare + FOUR * j;
      x.vshuff64x2(to, j, FOUR + j, LOWER);
      x.vshuff64x2(to + 1, 2 * FOUR + j, 3 * FOUR + j, LOWER);
      x.vshuff64x2(to + 2, j, FOUR + j, UPPER);
      x.vshuff64x2(to + 3, 2 * FOUR + j, 3 * FOUR + j, UPPER);
    }
    for (int k = 0; k < BLOCK; k++) {
      int quarter = k / FOUR;
      int from = spare + FOUR * (k % FOUR) + quarter / 2 * 2;
      x.vshuff64x2(k, from, from + 1, quarter % 2 == 0 ? EVEN : ODD);
      x.vmovups(at(RDI), MASK, k);
      x.add(RDI, RSI);
    }
    x.add(RDX, BLOCK * Float.BYTES);
    x.sub(R8, 1);
    x.jnz(block);
    x.vzeroupper();
    x.ret();
    return x.bytes();
  }
}
