package dev.javelin.kernels.cpu;

/**
 * An assembler for the few x86-64 instructions that the kernels in machine code are made of. A
 * method is an instruction, its operands in the order of Intel's manual; it writes the bytes that
 * binutils' assembler writes (X86Test compares them).
 *
 * <pre>
 * X86 code = new X86();
 * code.vpxord(0, 0, 0);                         // zmm0 = 0
 * int loop = code.here();
 * code.vmovups(24, at(RCX, 64));                // sixteen floats at rcx + 64
 * code.vbroadcastss(26, at(RDX, 4));            // one at rdx + 4, sixteen times
 * code.vfmadd231ps(0, 26, 24);                  // zmm0 += zmm26 · zmm24
 * code.sub(R8, 1);
 * code.jnz(loop);
 * </pre>
 *
 * @see <a href="https://www.intel.com/sdm">Intel 64 and IA-32 Architectures Software Developer's
 *     Manual, volume 2: 2.1 (instruction format), 2.3 (VEX), 2.7 (EVEX)</a>
 */
final class X86 extends X86Encoding {
  /** The 64-bit registers and their numbers. */
  enum Gp {
    RAX(0),
    RCX(1),
    RDX(2),
    RBX(3),
    RSP(4),
    RBP(5),
    RSI(6),
    RDI(7),
    R8(8),
    R9(9),
    R10(10),
    R11(11),
    R12(12),
    R13(13),
    R14(14),
    R15(15);

    final int number;

    Gp(int number) {
      this.number = number;
    }
  }

  /** Memory at {@code base + displacement}. */
  record Mem(Gp base, int displacement) {}

  static Mem at(Gp base) {
    return new Mem(base, 0);
  }

  static Mem at(Gp base, int displacement) {
    return new Mem(base, displacement);
  }

  /** {@code to = from}, 64 bits. */
  void mov(Gp to, Gp from) {
    emit(rex(true, from.number, to.number), 0x89, direct(from.number, to.number));
  }

  /** {@code to = value}, sign-extended to 64 bits. */
  void mov(Gp to, int value) {
    emit(rex(true, 0, to.number), 0xC7, direct(0, to.number));
    emit32(value);
  }

  /** {@code to = } the lower 32 bits of {@code from}. */
  void mov32(Gp to, Gp from) {
    if (to.number >= 8 || from.number >= 8) {
      emit(rex(false, from.number, to.number));
    }
    emit(0x89, direct(from.number, to.number));
  }

  /** {@code to >>>= by}, 64 bits, by two or more. */
  void shr(Gp to, int by) {
    emit(rex(true, 0, to.number), 0xC1, direct(5, to.number), by);
  }

  /** The lower 32 bits of a register below R8 into memory. */
  void mov32(Mem to, Gp from) {
    if (to.base().number >= 8 || from.number >= 8) {
      throw new IllegalArgumentException("mov32: needs registers below R8");
    }
    emit(0x89);
    memory(from.number, to, 1);
  }

  /** 64 bits from memory. */
  void mov(Gp to, Mem from) {
    emit(rex(true, to.number, from.base().number), 0x8B);
    memory(to.number, from, 1);
  }

  /** {@code to += } 64 bits from memory. */
  void add(Gp to, Mem value) {
    emit(rex(true, to.number, value.base().number), 0x03);
    memory(to.number, value, 1);
  }

  /** {@code to += from}. */
  void add(Gp to, Gp from) {
    emit(rex(true, from.number, to.number), 0x01, direct(from.number, to.number));
  }

  /** {@code to += value}. */
  void add(Gp to, int value) {
    arithmetic(0, to, value);
  }

  /** {@code to -= value}; {@link #jnz} asks whether the result was zero. */
  void sub(Gp to, int value) {
    arithmetic(5, to, value);
  }

  private void arithmetic(int operation, Gp to, int value) {
    boolean isByte = value == (byte) value;
    int rex = rex(true, 0, to.number);
    if (isByte) {
      emit(rex, 0x83, direct(operation, to.number), value);
    } else if (to == Gp.RAX) {
      emit(rex, operation << 3 | 0x05);
      emit32(value);
    } else {
      emit(rex, 0x81, direct(operation, to.number));
      emit32(value);
    }
  }

  /** Goes back to {@code target} unless the last sum or difference was zero. */
  void jnz(int target) {
    int distance = target - (here() + SHORT_JUMP_BYTES);
    if (distance == (byte) distance) {
      emit(0x75, distance);
    } else {
      int far = target - (here() + NEAR_JUMP_BYTES);
      emit(0x0F, 0x85);
      emit32(far);
    }
  }

  /** Saves a register. */
  void push(Gp register) {
    extended(register);
    emit(0x50 + (register.number & 7));
  }

  /** Brings back a register. */
  void pop(Gp register) {
    extended(register);
    emit(0x58 + (register.number & 7));
  }

  private void extended(Gp register) {
    if (register.number >= 8) {
      emit(rex(false, 0, register.number));
    }
  }

  /** Asks for the line of memory, which need not exist, to be brought into the caches. */
  void prefetcht0(Mem line) {
    if (line.base().number >= 8) {
      emit(rex(false, 0, line.base().number));
    }
    emit(0x0F, 0x18);
    memory(1, line, 1);
  }

  void ret() {
    emit(0xC3);
  }

  /** EAX, EBX, ECX, EDX = what the processor says about itself under EAX and ECX. */
  void cpuid() {
    emit(0x0F, 0xA2);
  }

  /** EDX:EAX = the register states that the operating system saves, for ECX = 0. */
  void xgetbv() {
    emit(0x0F, 0x01, 0xD0);
  }

  /** Calls Linux: number in RAX, arguments in RDI, RSI, RDX; the answer is in RAX. */
  void syscall() {
    emit(0x0F, 0x05);
  }

  /** {@code to = a ^ b}, of zmm registers. */
  void vpxord(int to, int a, int b) {
    evex(MAP_0F, PREFIX_66, to, a, b >> 3 & 1, b >> 4, BITS_512);
    emit(0xEF, direct(to, b));
  }

  /** Sixteen floats from memory. */
  void vmovups(int to, Mem from) {
    evex(MAP_0F, NO_PREFIX, to, 0, from.base().number >> 3, 0, BITS_512);
    emit(0x10);
    memory(to, from, ZMM_BYTES);
  }

  /** Sixteen floats to memory. */
  void vmovups(Mem to, int from) {
    evex(MAP_0F, NO_PREFIX, from, 0, to.base().number >> 3, 0, BITS_512);
    emit(0x11);
    memory(from, to, ZMM_BYTES);
  }

  /**
   * The lower 32 bits of a register become a mask: a bit for each element that an instruction has.
   */
  void kmovd(int mask, Gp from) {
    if (from.number < 8) {
      emit(0xC5, 0xFB); // the prefix of two bytes has no bit for the others
    } else {
      emit(VEX, 0xC1, 0x7B);
    }
    emit(0x92, direct(mask, from.number));
  }

  /** All 64 bits of a register become a mask. */
  void kmovq(int mask, Gp from) {
    emit(VEX, from.number < 8 ? 0xE1 : 0xC1, 0xFB, 0x92, direct(mask, from.number));
  }

  /** The floats of a mask to memory. */
  void vmovups(Mem to, int mask, int from) {
    evex(MAP_0F, NO_PREFIX, from, 0, to.base().number >> 3, 0, BITS_512 | mask);
    emit(0x11);
    memory(from, to, ZMM_BYTES);
  }

  /** The floats of a mask from memory, zeros for the others. */
  void vmovups(int to, int mask, Mem from) {
    evex(MAP_0F, NO_PREFIX, to, 0, from.base().number >> 3, 0, ZEROS | BITS_512 | mask);
    emit(0x10);
    memory(to, from, ZMM_BYTES);
  }

  /** The 16-bit numbers of a mask to memory. */
  void vmovdqu16(Mem to, int mask, int from) {
    evex(MAP_0F, PREFIX_F2 | W, from, 0, to.base().number >> 3, 0, BITS_512 | mask);
    emit(0x7F);
    memory(from, to, ZMM_BYTES);
  }

  /** The 16-bit numbers of a mask from memory, zeros for the others. */
  void vmovdqu16(int to, int mask, Mem from) {
    evex(MAP_0F, PREFIX_F2 | W, to, 0, from.base().number >> 3, 0, ZEROS | BITS_512 | mask);
    emit(0x6F);
    memory(to, from, ZMM_BYTES);
  }

  /** The bytes of a mask from memory, zeros for the others, which are not read. */
  void vmovdqu8(int to, int mask, Mem from) {
    evex(MAP_0F, PREFIX_F2, to, 0, from.base().number >> 3, 0, ZEROS | BITS_512 | mask);
    emit(0x6F);
    memory(to, from, ZMM_BYTES);
  }

  /** Sixteen floats that stand in the code itself, at byte {@code at} of it. */
  void vmovupsFromCode(int to, int at) {
    evex(MAP_0F, NO_PREFIX, to, 0, 0, 0, BITS_512);
    emit(0x10, (to & 7) << 3 | 5); // memory relative to the next instruction
    emit32(at - (here() + Integer.BYTES));
  }

  /**
   * {@code table[i] = } the 16-bit number that {@code order[i]} names: 0 to 31 those of {@code
   * table}, 32 to 63 those of {@code upper}.
   */
  void vpermt2w(int table, int order, int upper) {
    evex(MAP_0F38, PREFIX_66 | W, table, order, upper >> 3 & 1, upper >> 4, BITS_512);
    emit(0x7D, direct(table, upper));
  }

  /** {@code to = a + b} for the floats of a mask, others stay. */
  void vaddps(int to, int mask, int a, Mem b) {
    evex(MAP_0F, NO_PREFIX, to, a, b.base().number >> 3, 0, BITS_512 | mask);
    emit(0x58);
    memory(to, b, ZMM_BYTES);
  }

  /** 32 floats rounded to bf16: first those of {@code low}, then those of {@code high}. */
  void vcvtne2ps2bf16(int to, int high, int low) {
    evex(MAP_0F38, PREFIX_F2, to, high, low >> 3 & 1, low >> 4, BITS_512);
    emit(0x72, direct(to, low));
  }

  /**
   * {@code sum[i] += a[2i+1] · b[2i+1]; sum[i] += a[2i] · b[2i]} for the sixteen floats of {@code
   * sum}: {@code a} and {@code b} hold 32 bf16 each.
   */
  void vdpbf16ps(int sum, int a, int b) {
    evex(MAP_0F38, PREFIX_F3, sum, a, b >> 3 & 1, b >> 4, BITS_512);
    emit(0x52, direct(sum, b));
  }

  /** One float from memory into all sixteen lanes. */
  void vbroadcastss(int to, Mem from) {
    evex(MAP_0F38, PREFIX_66, to, 0, from.base().number >> 3, 0, BITS_512);
    emit(0x18);
    memory(to, from, Float.BYTES);
  }

  /** {@code sum += a · b}, sixteen floats, each rounded once. */
  void vfmadd231ps(int sum, int a, int b) {
    evex(MAP_0F38, PREFIX_66, sum, a, b >> 3 & 1, b >> 4, BITS_512);
    emit(0xB8, direct(sum, b));
  }

  /** Eight floats from memory as doubles. */
  void vcvtps2pd(int to, Mem from) {
    evexMemory(MAP_0F, NO_PREFIX, 0x5A, to, from, ZMM_BYTES / 2, BITS_512);
  }

  /** {@code sum += a · b}, eight doubles, each rounded once. */
  void vfmadd231pd(int sum, int a, int b) {
    evexRegisters(MAP_0F38, PREFIX_66 | W, 0xB8, sum, a, b);
  }

  /** {@code to = a + b}, eight doubles. */
  void vaddpd(int to, int a, int b) {
    evexRegisters(MAP_0F, PREFIX_66 | W, 0x58, to, a, b);
  }

  /** {@code to = a + b}, sixteen floats. */
  void vaddps(int to, int a, int b) {
    evexRegisters(MAP_0F, NO_PREFIX, 0x58, to, a, b);
  }

  /** {@code to = a · b}, sixteen floats. */
  void vmulps(int to, int a, int b) {
    evexRegisters(MAP_0F, NO_PREFIX, 0x59, to, a, b);
  }

  /** Sixteen ints as floats. */
  void vcvtdq2ps(int to, int from) {
    evexRegisters(MAP_0F, NO_PREFIX, 0x5B, to, 0, from);
  }

  /** Sixteen f16 from memory as floats. */
  void vcvtph2ps(int to, Mem from) {
    evexMemory(MAP_0F38, PREFIX_66, 0x13, to, from, ZMM_BYTES / 2, BITS_512);
  }

  /** Sixteen 16-bit numbers from memory as ints, with zeros in front. */
  void vpmovzxwd(int to, Mem from) {
    evexMemory(MAP_0F38, PREFIX_66, 0x33, to, from, ZMM_BYTES / 2, BITS_512);
  }

  /** Sixteen bytes from memory as ints, with their sign in front. */
  void vpmovsxbd(int to, Mem from) {
    evexMemory(MAP_0F38, PREFIX_66, 0x21, to, from, ZMM_BYTES / 4, BITS_512);
  }

  /** {@code to = from << by}, sixteen ints. */
  void vpslld(int to, int from, int by) {
    evexRegisters(MAP_0F, PREFIX_66, 0x72, 6, to, from);
    emit(by);
  }

  /** {@code to[i] = from[i] >>> by[i]}, sixteen ints. */
  void vpsrlvd(int to, int from, int by) {
    evexRegisters(MAP_0F38, PREFIX_66, 0x45, to, from, by);
  }

  /** 64 bits from memory, eight times. */
  void vpbroadcastq(int to, Mem from) {
    evexMemory(MAP_0F38, PREFIX_66 | W, 0x59, to, from, Long.BYTES, BITS_512);
  }

  /** 32 bytes from memory, twice. */
  void vbroadcasti64x4(int to, Mem from) {
    evexMemory(MAP_0F38, PREFIX_66 | W, 0x5B, to, from, ZMM_BYTES / 2, BITS_512);
  }

  /** {@code to = a & b}, of zmm registers. */
  void vpandd(int to, int a, int b) {
    evexRegisters(MAP_0F, PREFIX_66, 0xDB, to, a, b);
  }

  /**
   * {@code sum[i] += Σ_j unsigned[4i+j] · signed[4i+j]} for the sixteen ints of {@code sum}, bytes
   * of 0 to 255 times bytes of −128 to 127; nothing saturates.
   */
  void vpdpbusd(int sum, int unsigned, int signed) {
    evexRegisters(MAP_0F38, PREFIX_66, 0x50, sum, unsigned, signed);
  }

  /** Of each 16 bytes of {@code from} those that {@code order} names; zero where it is negative. */
  void vpshufb(int to, int from, int order) {
    evexRegisters(MAP_0F38, PREFIX_66, 0x00, to, from, order);
  }

  /** {@code to[i] = table[order[i] mod 16]}, sixteen floats. */
  void vpermps(int to, int order, int table) {
    evexRegisters(MAP_0F38, PREFIX_66, 0x16, to, order, table);
  }

  /**
   * Quarters of 128 bits: two of {@code a}, then two of {@code b}; {@code which} has two bits for
   * each.
   */
  void vshuff64x2(int to, int a, int b, int which) {
    evexRegisters(MAP_0F3A, PREFIX_66 | W, 0x23, to, a, b);
    emit(which);
  }

  /** The same within each quarter: two floats of {@code a}, then two of {@code b}. */
  void vshufps(int to, int a, int b, int which) {
    evexRegisters(MAP_0F, NO_PREFIX, 0xC6, to, a, b);
    emit(which);
  }

  /** Quarter {@code which} of {@code from}. */
  void vextractf32x4(int to, int from, int which) {
    evexRegisters(MAP_0F3A, PREFIX_66, 0x19, from, 0, to);
    emit(which);
  }

  /** The first float to memory. */
  void vmovss(Mem to, int from) {
    evexMemory(MAP_0F, PREFIX_F3, 0x11, from, to, Float.BYTES, 0);
  }

  // Tiles: up to 16 rows of 64 bytes each. Rows in memory are `stride` bytes apart.

  /** Sets up the tiles as 64 bytes in memory say. */
  void ldtilecfg(Mem from) {
    vex(NO_PREFIX, 0, 0, from.base().number, 0);
    emit(0x49);
    memory(0, from, 1);
  }

  /** Gives all tiles back. */
  void tilerelease() {
    vex(NO_PREFIX, 0, 0, 0, 0);
    emit(0x49, direct(0, 0));
  }

  void tilezero(int tile) {
    vex(PREFIX_F2, tile, 0, 0, 0);
    emit(0x49, direct(tile, 0));
  }

  void tileloadd(int tile, Mem from, Gp stride) {
    tileMemory(PREFIX_F2, tile, from, stride);
  }

  void tilestored(Mem to, Gp stride, int tile) {
    tileMemory(PREFIX_F3, tile, to, stride);
  }

  /** {@code sum[m, n] += a[m, 2k] · b[k, 2n] + a[m, 2k+1] · b[k, 2n+1]} over the pairs k. */
  void tdpbf16ps(int sum, int a, int b) {
    vex(PREFIX_F3, sum, 0, 0, b);
    emit(0x5C, direct(sum, a));
  }

  /** Clears the upper parts of zmm0 to zmm15: else code of 128-bit instructions runs slowly. */
  void vzeroupper() {
    emit(0xC5, 0xF8, 0x77);
  }
}
