package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.X86.Gp.RDI;
import static dev.javelin.kernels.cpu.X86.Gp.RDX;
import static dev.javelin.kernels.cpu.X86.Gp.RSI;
import static dev.javelin.kernels.cpu.X86.at;

import dev.javelin.device.MachineCode;
import org.jspecify.annotations.Nullable;

/**
 * The loop of {@link GlobalNormCpu} over squares as machine code, for vectors of 512 bits: the same
 * sums in the same order. It is the first long loop of a run, and ran interpreted for long.
 */
final class SumOfSquaresCode {
  /** Floats that the loop takes at once. */
  static final int STEP = 16;

  /** Sums that it leaves, doubles. */
  static final int SUMS = 8;

  private static final int NEEDED_BITS = 512;
  private static final int HALF_BYTES = 32;

  private static final @Nullable MachineCode CODE =
      VectorWidth.bits() < NEEDED_BITS ? null : MachineCode.load(code()).orElse(null);

  private SumOfSquaresCode() {}

  /**
   * Sum {@code i} of {@link #SUMS}: that of {@code x[16n + i]²}, plus that of {@code x[16n + 8 +
   * i]²}.
   *
   * @param n a multiple of {@link #STEP}, at least one
   * @return whether there is machine code
   */
  static boolean run(long sums, long x, int n) {
    if (CODE == null) {
      return false;
    }
    CODE.call(x, n / STEP, sums, 0, 0, 0);
    return true;
  }

  /** {@code (x, steps, sums)}. */
  static byte[] code() {
    X86 x = new X86();
    x.vpxord(0, 0, 0);
    x.vpxord(1, 1, 1);
    int loop = x.here();
    x.vcvtps2pd(2, at(RDI));
    x.vcvtps2pd(3, at(RDI, HALF_BYTES));
    x.vfmadd231pd(0, 2, 2);
    x.vfmadd231pd(1, 3, 3);
    x.add(RDI, STEP * Float.BYTES);
    x.sub(RSI, 1);
    x.jnz(loop);
    x.vaddpd(0, 0, 1);
    x.vmovups(at(RDX), 0);
    x.vzeroupper();
    x.ret();
    return x.bytes();
  }
}
