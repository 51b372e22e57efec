package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.X86.Gp.RAX;
import static dev.javelin.kernels.cpu.X86.Gp.RBX;
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
 * What an x86-64 processor has beyond the Vector API, if the operating system saves the registers
 * it takes: asked of the processor itself, by {@code cpuid} and {@code xgetbv}.
 *
 * @param avx512Bf16 {@code vdpbf16ps} on 512-bit registers (Zen 4, Cooper Lake, Sapphire Rapids)
 * @param amxBf16 {@code tdpbf16ps} on tiles (Sapphire Rapids)
 * @param avx512Vnni {@code vpdpbusd} on 512-bit registers, and bytes as elements of them (Zen 4,
 *     Cascade Lake, Ice Lake)
 */
record Processor(boolean avx512Bf16, boolean amxBf16, boolean avx512Vnni) {
  /** One with none of them. */
  static final Processor PLAIN = new Processor(false, false, false);

  private static final int OSXSAVE = 27; // leaf 1, ecx: the system says in XCR0 what it saves
  private static final int AVX512F = 16; // leaf 7, ebx
  private static final int AVX512BW = 30; // leaf 7, ebx
  private static final int AVX512_VNNI = 11; // leaf 7, ecx
  private static final int AMX_BF16 = 22; // leaf 7, edx
  private static final int AMX_TILE = 24; // leaf 7, edx
  private static final int AVX512_BF16 = 5; // leaf 7 subleaf 1, eax

  /** SSE, AVX, and the three parts of the AVX-512 registers. */
  private static final long XCR0_AVX512 = 0xE6;

  /** The configuration of tiles, and the tiles. */
  private static final long XCR0_AMX = 0x60000;

  /** This machine's. */
  static final Processor THIS = detect();

  private static Processor detect() {
    Optional<MachineCode> cpuid = MachineCode.load(cpuidCode());
    Optional<MachineCode> xgetbv = MachineCode.load(xgetbvCode());
    if (cpuid.isEmpty() || xgetbv.isEmpty()) {
      return PLAIN;
    }
    int[] top = ask(cpuid.get(), 0, 0);
    int[] one = ask(cpuid.get(), 1, 0);
    if (top[0] < 7 || (one[2] >> OSXSAVE & 1) == 0) {
      return PLAIN;
    }
    int[] seven = ask(cpuid.get(), 7, 0);
    int[] next = seven[0] >= 1 ? ask(cpuid.get(), 7, 1) : new int[4];
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment xcr0 = arena.allocate(ValueLayout.JAVA_LONG);
      xgetbv.get().call(xcr0.address(), 0, 0, 0, 0, 0);
      return of(seven, next, xcr0.get(ValueLayout.JAVA_LONG, 0));
    }
  }

  /**
   * What the answers of {@code cpuid} mean.
   *
   * @param seven eax, ebx, ecx, edx of leaf 7; {@code next} those of its subleaf 1
   * @param xcr0 the register states that the operating system saves
   */
  static Processor of(int[] seven, int[] next, long xcr0) {
    boolean savesAvx512 = (xcr0 & XCR0_AVX512) == XCR0_AVX512;
    boolean savesTiles = (xcr0 & XCR0_AMX) == XCR0_AMX;
    return new Processor(
        savesAvx512 && has(seven[1], AVX512F) && has(next[0], AVX512_BF16),
        savesTiles && has(seven[3], AMX_TILE) && has(seven[3], AMX_BF16),
        savesAvx512
            && has(seven[1], AVX512F)
            && has(seven[1], AVX512BW)
            && has(seven[2], AVX512_VNNI));
  }

  private static boolean has(int register, int bit) {
    return (register >> bit & 1) != 0;
  }

  private static int[] ask(MachineCode cpuid, int leaf, int subleaf) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment answer = arena.allocate(ValueLayout.JAVA_INT, 4);
      cpuid.call(answer.address(), leaf, subleaf, 0, 0, 0);
      return answer.toArray(ValueLayout.JAVA_INT);
    }
  }

  /** {@code (answer, leaf, subleaf)}: eax, ebx, ecx, edx to four ints at answer. */
  static byte[] cpuidCode() {
    X86 x = new X86();
    x.push(RBX);
    x.mov(RAX, RSI);
    x.mov(RCX, RDX);
    x.cpuid();
    x.mov32(at(RDI), RAX);
    x.mov32(at(RDI, 4), RBX);
    x.mov32(at(RDI, 8), RCX);
    x.mov32(at(RDI, 12), RDX);
    x.pop(RBX);
    x.ret();
    return x.bytes();
  }

  /** {@code (answer)}: XCR0 to a long at answer. */
  static byte[] xgetbvCode() {
    X86 x = new X86();
    x.mov(RCX, 0);
    x.xgetbv();
    x.mov32(at(RDI), RAX);
    x.mov32(at(RDI, 4), RDX);
    x.ret();
    return x.bytes();
  }
}
