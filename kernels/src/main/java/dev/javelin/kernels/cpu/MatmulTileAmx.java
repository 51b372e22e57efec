package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.X86.Gp.R10;
import static dev.javelin.kernels.cpu.X86.Gp.R8;
import static dev.javelin.kernels.cpu.X86.Gp.R9;
import static dev.javelin.kernels.cpu.X86.Gp.RAX;
import static dev.javelin.kernels.cpu.X86.Gp.RCX;
import static dev.javelin.kernels.cpu.X86.Gp.RDI;
import static dev.javelin.kernels.cpu.X86.Gp.RDX;
import static dev.javelin.kernels.cpu.X86.Gp.RSI;
import static dev.javelin.kernels.cpu.X86.at;

import dev.javelin.device.MachineCode;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/**
 * The tile of AMX-BF16: 32 rows x 32 columns of C in four of the processor's tiles, k in steps of
 * 32, as machine code.
 *
 * <pre>
 *            tmm6  tmm7     16 pairs of k x 16 columns of B each
 *     tmm4   tmm0  tmm1     tmm4, tmm5: 16 rows of A x 16 pairs
 *     tmm5   tmm2  tmm3     tmm0 to tmm3: 16 x 16 sums
 * </pre>
 *
 * <p>An element of C takes 32 of k at once: a chain of the even ones and a chain of the odd ones,
 * each from zero and in the order of k, then {@code c += even + odd}. What is too small for a
 * normal fp32 number counts as zero. So its bits differ from those of other tiles in the rounding.
 *
 * <p>A panel of B is that of {@link MatmulPackPairs}. A panel of A holds for each step of k its 32
 * rows of 32 numbers, in the order of k.
 *
 * @see <a href="https://www.intel.com/sdm">Intel's manual, volume 2, TDPBF16PS; volume 1, chapter
 *     18</a>
 */
final class MatmulTileAmx extends MatmulPairTile {
  static final int ROWS = 32;
  static final int COLS = 32;

  /** Elements of k, and pairs of them, that a tile holds. */
  static final int STEP = 32;

  private static final int TILE_ROWS = 16;
  private static final int TILE_ROW_BYTES = 64;
  private static final int TILES = 8;
  private static final int PAIRS = STEP / 2;
  private static final int A_STEP_BYTES = MatmulPackSteps.BYTES;
  private static final int B_STEP_BYTES = PAIRS * 4 * COLS;

  // arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA), linux/arch/x86/include/uapi/asm/prctl.h
  private static final int ARCH_PRCTL = 158;
  private static final int ARCH_REQ_XCOMP_PERM = 0x1023;
  private static final int XFEATURE_XTILEDATA = 18;

  /** What {@link #code} is called through: machine code, or its interpreter in a test. */
  interface Function {
    long call(long a, long b, long c, long d, long e, long f);
  }

  private final Function code;

  /** How the tiles are used; machine code reads it in every call. */
  private final MemorySegment configuration;

  MatmulTileAmx(Function code, MemorySegment configuration) {
    super(ROWS, COLS, STEP);
    this.code = code;
    this.configuration = configuration;
  }

  /**
   * The tile; empty where the system refuses executable memory or the use of tiles, which a process
   * must ask for since they make the state of a thread 8 kB larger.
   */
  static Optional<MatmulTileAmx> load() {
    Optional<MachineCode> request = MachineCode.load(requestCode());
    if (request.isEmpty() || request.get().call(0, 0, 0, 0, 0, 0) != 0) {
      return Optional.empty();
    }
    return MachineCode.load(code())
        .map(code -> new MatmulTileAmx(code::call, configuration(Arena.global())));
  }

  /** Eight tiles of 16 rows of 64 bytes, as {@code ldtilecfg} reads it. */
  static MemorySegment configuration(Arena arena) {
    MemorySegment c = arena.allocate(64, 64);
    c.set(ValueLayout.JAVA_BYTE, 0, (byte) 1); // the palette
    for (int t = 0; t < TILES; t++) {
      c.set(ValueLayout.JAVA_SHORT, 16 + 2L * t, (short) TILE_ROW_BYTES);
      c.set(ValueLayout.JAVA_BYTE, 48L + t, (byte) TILE_ROWS);
    }
    return c;
  }

  @Override
  long spareBytes(MatmulOperand a, MatmulOperand b, int kc) {
    return a.alongK() ? 0 : A_STEP_BYTES;
  }

  @Override
  void packA(long panel, MatmulOperand a, int row, int count, int k, int kc, long spare) {
    for (int i = 0; i < count; i += ROWS) {
      long to = panel + i / ROWS * panelBytes(ROWS, kc);
      int lines = Math.min(ROWS, count - i);
      for (int step = 0; step < kc; step += STEP) {
        long at = to + (long) step * ROWS * 2;
        MatmulPackSteps.step(at, a, row + i, lines, k + step, Math.min(STEP, kc - step), spare);
      }
    }
  }

  @Override
  void multiply(long c, long rowBytes, long aPanel, long bPanel, int kc) {
    code.call(c, rowBytes, aPanel, bPanel, pairs(kc) / PAIRS, configuration.address());
  }

  /** {@code (c, rowBytes, aPanel, bPanel, steps, configuration)}; no tile is left in use. */
  static byte[] code() {
    X86 x = new X86();
    x.ldtilecfg(at(R9));
    for (int sum = 0; sum < 4; sum++) {
      x.tilezero(sum);
    }
    x.mov(RAX, TILE_ROW_BYTES);
    x.mov(R10, 4 * COLS);
    int loop = x.here();
    x.tileloadd(4, at(RDX), RAX);
    x.tileloadd(6, at(RCX), R10);
    x.tileloadd(7, at(RCX, 64), R10);
    x.tileloadd(5, at(RDX, TILE_ROWS * TILE_ROW_BYTES), RAX);
    x.tdpbf16ps(0, 4, 6);
    x.tdpbf16ps(1, 4, 7);
    x.tdpbf16ps(2, 5, 6);
    x.tdpbf16ps(3, 5, 7);
    x.add(RDX, A_STEP_BYTES);
    x.add(RCX, B_STEP_BYTES);
    x.sub(R8, 1);
    x.jnz(loop);
    x.tilestored(at(RDI), RSI, 0);
    x.tilestored(at(RDI, 64), RSI, 1);
    x.mov(RAX, RSI);
    for (int doubled = 1; doubled < TILE_ROWS; doubled *= 2) {
      x.add(RAX, RAX);
    }
    x.add(RDI, RAX);
    x.tilestored(at(RDI), RSI, 2);
    x.tilestored(at(RDI, 64), RSI, 3);
    x.tilerelease();
    x.ret();
    return x.bytes();
  }

  /** Asks Linux for the use of tiles, for all threads of the process; 0 is yes. */
  static byte[] requestCode() {
    X86 x = new X86();
    x.mov(RAX, ARCH_PRCTL);
    x.mov(RDI, ARCH_REQ_XCOMP_PERM);
    x.mov(RSI, XFEATURE_XTILEDATA);
    x.syscall();
    x.ret();
    return x.bytes();
  }
}
