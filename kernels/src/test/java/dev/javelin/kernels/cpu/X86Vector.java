package dev.javelin.kernels.cpu;

/** The vector registers zmm0 to zmm31 and the opmasks, and what is done to them. */
final class X86Vector {
  private final X86Memory memory;
  private final int[][] zmm = new int[32][16];
  private final long[] opmask = new long[8];
  private final int[] source = new int[16];
  private boolean dirty;

  X86Vector(X86Memory memory) {
    this.memory = memory;
  }

  /** Fills every register with numbers that no result should contain. */
  void poison() {
    for (int n = 0; n < 32; n++) {
      for (int lane = 0; lane < 16; lane++) {
        zmm[n][lane] = (1 + 16 * n + lane) * 0x9e3779b9; // no two alike, nor their differences
      }
    }
    for (int n = 0; n < 8; n++) {
      opmask[n] = 0x5a5a_a5a5_0f0f_3c3cL + n;
    }
    dirty = false;
  }

  /** Whether zmm0 to zmm15 were left alone beyond 128 bits since the last vzeroupper. */
  boolean upperHalvesAreClean() {
    return !dirty;
  }

  void setOpmask(int n, long bits) {
    opmask[n] = bits;
  }

  long opmask(int n) {
    return opmask[n];
  }

  void run(X86Instruction i, long address) {
    switch (i.op) {
      case VMOVUPS_LOAD,
          VMOVUPD_LOAD,
          VMOVDQU_LOAD,
          VMOVDQU32_LOAD,
          VMOVDQU64_LOAD,
          VMOVAPS_LOAD,
          VMOVDQA_LOAD,
          VMOVDQA32_LOAD,
          VMOVDQA64_LOAD ->
          load(i, address);
      case VMOVUPS_STORE,
          VMOVUPD_STORE,
          VMOVDQU_STORE,
          VMOVDQU32_STORE,
          VMOVDQU64_STORE,
          VMOVAPS_STORE,
          VMOVDQA_STORE,
          VMOVDQA32_STORE,
          VMOVDQA64_STORE ->
          store(i, address);
      case VMOVDQU16_LOAD -> loadWords(i, address);
      case VMOVDQU16_STORE -> storeWords(i, address);
      case VMOVDQU8_LOAD -> loadBytes(i, address);
      case VBROADCASTI64X4 -> {
        requirePlain(i, true);
        for (int lane = 0; lane < 16; lane++) {
          zmm[i.reg][lane] = memory.getInt(address + 4L * (lane % 8));
        }
        finish(i);
      }
      case VPERMT2W -> permuteWords(i, address);
      case VCVTNE2PS2BF16 -> convertPairs(i, address);
      case VMOVSS_STORE -> memory.setInt(address, zmm[i.reg][0]);
      case VPMOVZXWD, VPMOVSXBD, VCVTPH2PS, VPBROADCASTQ -> widen(i, address);
      case VCVTPS2PD, VADDPD, VFMADD231PD -> doubles(i, address);
      case VPSLLD, VEXTRACTF32X4 -> toOther(i);
      case VPSHUFB, VPERMPS, VSHUFPS, VSHUFF64X2 -> shuffle(i, address);
      case VZEROUPPER -> {
        for (int n = 0; n < 16; n++) {
          for (int lane = 4; lane < 16; lane++) {
            zmm[n][lane] = 0;
          }
        }
        dirty = false;
      }
      case VBROADCASTSS, VPBROADCASTD -> {
        int x = i.memory ? broadcastLoad(i, address) : zmm[i.rm][0];
        for (int lane = 0; lane < lanes(i); lane++) {
          put(i, lane, x);
        }
        finish(i);
      }
      default -> lanewise(i, address);
    }
  }

  /** Elements of fewer bits from memory, read one by one; without a mask. */
  private void widen(X86Instruction i, long address) {
    requirePlain(i, true);
    for (int lane = 0; lane < lanes(i); lane++) {
      zmm[i.reg][lane] =
          switch (i.op) {
            case VPMOVZXWD -> memory.getShort(address + 2L * lane);
            case VPMOVSXBD -> (byte) memory.getByte(address + lane);
            case VCVTPH2PS ->
                bits(Float.float16ToFloat((short) memory.getShort(address + 2L * lane)));
            default -> (int) (memory.getLong(address) >> 32 * (lane % 2)); // VPBROADCASTQ
          };
    }
    finish(i);
  }

  /** A double is two lanes, the lower half first; without a mask. */
  private void doubles(X86Instruction i, long address) {
    requirePlain(i, i.op == X86Op.VCVTPS2PD);
    for (int n = 0; n < i.size / 8; n++) {
      double x =
          switch (i.op) {
            case VCVTPS2PD -> value(memory.getInt(address + 4L * n));
            case VADDPD -> wide(i.vvvv, n) + wide(i.rm, n);
            default -> Math.fma(wide(i.vvvv, n), wide(i.rm, n), wide(i.reg, n));
          };
      long bits = Double.doubleToRawLongBits(x);
      zmm[i.reg][2 * n] = (int) bits;
      zmm[i.reg][2 * n + 1] = (int) (bits >> 32);
    }
    finish(i);
  }

  private double wide(int register, int n) {
    long low = zmm[register][2 * n] & 0xffffffffL;
    return Double.longBitsToDouble((long) zmm[register][2 * n + 1] << 32 | low);
  }

  private static void requirePlain(X86Instruction i, boolean memory) {
    if (i.mask != 0 || i.memory != memory) {
      throw new X86Fault("not executed by this machine");
    }
  }

  /** Those that do not write to ModRM.reg. */
  private void toOther(X86Instruction i) {
    requirePlain(i, false);
    if (i.op == X86Op.VPSLLD) {
      for (int lane = 0; lane < lanes(i); lane++) {
        zmm[i.vvvv][lane] = i.value > 31 ? 0 : zmm[i.rm][lane] << i.value;
      }
      clear(i.vvvv, lanes(i));
      return;
    }
    int quarter = (int) i.value % (i.size / 16);
    System.arraycopy(zmm[i.reg].clone(), 4 * quarter, zmm[i.rm], 0, 4);
    clear(i.rm, 4);
  }

  private void shuffle(X86Instruction i, long address) {
    requirePlain(i, false);
    source(i, address);
    int[] a = zmm[i.vvvv];
    int[] to = new int[16];
    for (int lane = 0; lane < lanes(i); lane++) {
      int quarter = lane / 4 * 4;
      int select = (int) i.value >> 2 * (lane % 4) & 3;
      to[lane] =
          switch (i.op) {
            case VPERMPS -> source[a[lane] & lanes(i) - 1];
            case VSHUFPS -> (lane % 4 < 2 ? a : source)[quarter + select];
            case VSHUFF64X2 -> quarters(i, a, lane);
            default -> bytesOf(a, quarter, source[lane]);
          };
    }
    System.arraycopy(to, 0, zmm[i.reg], 0, 16);
    finish(i);
  }

  private int quarters(X86Instruction i, int[] a, int lane) {
    if (i.size != 64) {
      throw new X86Fault("not executed by this machine");
    }
    int quarter = lane / 4;
    return (quarter < 2 ? a : source)[4 * ((int) i.value >> 2 * quarter & 3) + lane % 4];
  }

  /** The four bytes that {@code order} names, of the sixteen from dword {@code first} on. */
  private static int bytesOf(int[] of, int first, int order) {
    int result = 0;
    for (int n = 0; n < 32; n += 8) {
      int which = order >> n & 15;
      int x = of[first + which / 4] >>> 8 * (which % 4) & 0xff;
      result |= (order >> n & 0x80) != 0 ? 0 : x << n;
    }
    return result;
  }

  private int broadcastLoad(X86Instruction i, long address) {
    // with an empty mask nothing is read
    for (int lane = 0; lane < lanes(i); lane++) {
      if (active(i, lane)) {
        return memory.getInt(address);
      }
    }
    return 0;
  }

  private int word(int[] of, int n) {
    return of[n / 2] >>> 16 * (n % 2) & 0xffff;
  }

  /** The 16-bit elements of a mask from memory; others become zero or stay. */
  private void loadWords(X86Instruction i, long address) {
    if (!i.memory) {
      throw new X86Fault("not executed by this machine");
    }
    int[] to = zmm[i.reg];
    for (int n = 0; n < i.size / 2; n++) {
      boolean active = i.mask == 0 || (opmask[i.mask] >>> n & 1) != 0;
      int x = active ? memory.getShort(address + 2L * n) : i.zeroing ? 0 : word(to, n);
      to[n / 2] = n % 2 == 0 ? to[n / 2] & ~0xffff | x : to[n / 2] & 0xffff | x << 16;
    }
    finish(i);
  }

  /** The bytes of a mask from memory; others become zero or stay. */
  private void loadBytes(X86Instruction i, long address) {
    if (!i.memory) {
      throw new X86Fault("not executed by this machine");
    }
    int[] to = zmm[i.reg];
    for (int n = 0; n < i.size; n++) {
      boolean active = i.mask == 0 || (opmask[i.mask] >>> n & 1) != 0;
      int shift = 8 * (n % 4);
      int before = i.zeroing ? 0 : to[n / 4] >>> shift & 0xff;
      int x = active ? memory.getByte(address + n) & 0xff : before;
      to[n / 4] = to[n / 4] & ~(0xff << shift) | x << shift;
    }
    finish(i);
  }

  /** Of the table of both, the destination is the lower half. */
  private void permuteWords(X86Instruction i, long address) {
    if (i.mask != 0) {
      throw new X86Fault("not executed by this machine");
    }
    source(i, address);
    int words = i.size / 2;
    int[] to = new int[16];
    for (int n = 0; n < words; n++) {
      int from = word(zmm[i.vvvv], n) % (2 * words);
      int x = from < words ? word(zmm[i.reg], from) : word(source, from - words);
      to[n / 2] |= x << 16 * (n % 2);
    }
    System.arraycopy(to, 0, zmm[i.reg], 0, 16);
    finish(i);
  }

  /** The 16-bit elements of a mask to memory. */
  private void storeWords(X86Instruction i, long address) {
    if (!i.memory) {
      throw new X86Fault("not executed by this machine");
    }
    for (int word = 0; word < i.size / 2; word++) {
      if (i.mask == 0 || (opmask[i.mask] >>> word & 1) != 0) {
        memory.setShort(address + 2L * word, zmm[i.reg][word / 2] >> 16 * (word % 2));
      }
    }
  }

  /** The second source is the lower half of the result; all are rounded before any is written. */
  private void convertPairs(X86Instruction i, long address) {
    if (i.mask != 0) {
      throw new X86Fault("not executed by this machine");
    }
    source(i, address);
    int[] halves = new int[2 * lanes(i)];
    for (int lane = 0; lane < lanes(i); lane++) {
      halves[lane] = FlushedFloat.toBf16(value(source[lane]));
      halves[lane + lanes(i)] = FlushedFloat.toBf16(value(zmm[i.vvvv][lane]));
    }
    for (int lane = 0; lane < lanes(i); lane++) {
      put(i, lane, halves[2 * lane] | halves[2 * lane + 1] << 16);
    }
    finish(i);
  }

  /** The last operand of an instruction, from wherever it comes. */
  private void source(X86Instruction i, long address) {
    if (!i.memory) {
      System.arraycopy(zmm[i.rm], 0, source, 0, 16);
    } else if (i.broadcast) {
      java.util.Arrays.fill(source, broadcastLoad(i, address));
    } else {
      read(i, address);
    }
  }

  private void lanewise(X86Instruction i, long address) {
    source(i, address);
    for (int lane = 0; lane < lanes(i); lane++) {
      int a = zmm[i.vvvv][lane];
      int b = source[lane];
      int c = zmm[i.reg][lane];
      int result =
          switch (i.op) {
            case VADDPS -> bits(value(a) + value(b));
            case VSUBPS -> bits(value(a) - value(b));
            case VMULPS -> bits(value(a) * value(b));
            case VFMADD231PS -> bits(Math.fma(value(a), value(b), value(c)));
            case VCVTDQ2PS -> bits((float) b);
            case VXORPS, VPXOR, VPXORD -> a ^ b;
            case VPADDD -> a + b;
            case VPANDD -> a & b;
            case VPSRLVD -> b < 0 || b > 31 ? 0 : a >>> b;
            case VPDPBUSD -> dotBytes(c, a, b);
            case VDPBF16PS ->
                // the odd pair first
                bits(
                    FlushedFloat.fma(low(a), low(b), FlushedFloat.fma(high(a), high(b), value(c))));
            default -> throw new X86Fault("not executed by this machine");
          };
      put(i, lane, result);
    }
    finish(i);
  }

  private static float value(int bits) {
    return Float.intBitsToFloat(bits);
  }

  private static int bits(float x) {
    return Float.floatToRawIntBits(x);
  }

  /** The bfloat16 of index 0 in a pair. */
  static float low(int pair) {
    return value(pair << 16);
  }

  static float high(int pair) {
    return value(pair & 0xffff0000);
  }

  /** Four products of an unsigned by a signed byte, added to c without saturation. */
  private static int dotBytes(int c, int unsigned, int signed) {
    int sum = c;
    for (int n = 0; n < 32; n += 8) {
      sum += ((unsigned >>> n) & 0xff) * (byte) (signed >>> n);
    }
    return sum;
  }

  private static int lanes(X86Instruction i) {
    return i.size / 4;
  }

  private boolean active(X86Instruction i, int lane) {
    // the 64-bit forms have a bit for two lanes
    boolean pairs =
        switch (i.op) {
          case VMOVUPD_LOAD,
              VMOVUPD_STORE,
              VMOVDQU64_LOAD,
              VMOVDQU64_STORE,
              VMOVDQA64_LOAD,
              VMOVDQA64_STORE ->
              true;
          default -> false;
        };
    return i.mask == 0 || (opmask[i.mask] >>> (pairs ? lane / 2 : lane) & 1) != 0;
  }

  /** A lane of the destination register, under the mask. */
  private void put(X86Instruction i, int lane, int x) {
    if (active(i, lane)) {
      zmm[i.reg][lane] = x;
    } else if (i.zeroing) {
      zmm[i.reg][lane] = 0;
    }
  }

  /** Whatever its length, a vector instruction clears the rest of its destination. */
  private void finish(X86Instruction i) {
    clear(i.reg, lanes(i));
  }

  private void clear(int n, int from) {
    dirty |= n < 16 && from > 4;
    for (int lane = from; lane < 16; lane++) {
      zmm[n][lane] = 0;
    }
  }

  private void align(X86Instruction i, long address) {
    switch (i.op) {
      case VMOVAPS_LOAD,
          VMOVAPS_STORE,
          VMOVDQA_LOAD,
          VMOVDQA_STORE,
          VMOVDQA32_LOAD,
          VMOVDQA32_STORE,
          VMOVDQA64_LOAD,
          VMOVDQA64_STORE -> {
        if (address % i.size != 0) {
          throw new X86Fault("#GP: 0x%x is not a multiple of %d".formatted(address, i.size));
        }
      }
      default -> {}
    }
  }

  /** Lanes that the mask leaves out are not read, so they cannot fault. */
  private void read(X86Instruction i, long address) {
    if (i.mask == 0) {
      memory.read(address, source, lanes(i));
      return;
    }
    for (int lane = 0; lane < lanes(i); lane++) {
      source[lane] = active(i, lane) ? memory.getInt(address + 4L * lane) : 0;
    }
  }

  private void load(X86Instruction i, long address) {
    if (i.memory) {
      align(i, address);
      read(i, address);
    } else {
      System.arraycopy(zmm[i.rm], 0, source, 0, 16);
    }
    for (int lane = 0; lane < lanes(i); lane++) {
      put(i, lane, source[lane]);
    }
    finish(i);
  }

  private void store(X86Instruction i, long address) {
    int[] from = zmm[i.reg];
    if (!i.memory) { // the other form of a move between registers
      for (int lane = 0; lane < lanes(i); lane++) {
        if (active(i, lane)) {
          zmm[i.rm][lane] = from[lane];
        } else if (i.zeroing) {
          zmm[i.rm][lane] = 0;
        }
      }
      clear(i.rm, lanes(i));
      return;
    }
    align(i, address);
    if (i.mask == 0) {
      memory.write(address, from, lanes(i));
      return;
    }
    for (int lane = 0; lane < lanes(i); lane++) {
      if (active(i, lane)) {
        memory.setInt(address + 4L * lane, from[lane]);
      }
    }
  }
}
