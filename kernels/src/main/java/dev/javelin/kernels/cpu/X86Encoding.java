package dev.javelin.kernels.cpu;

import java.io.ByteArrayOutputStream;

/**
 * How x86-64 writes the instructions of {@link X86} as bytes: prefixes, ModRM, SIB, displacements.
 */
abstract class X86Encoding {
  // Fields of the VEX and EVEX prefixes. Register bits are stored inverted, so a register below 8
  // has ones.
  static final int EVEX = 0x62;
  static final int VEX = 0xC4;
  static final int MAP_0F = 1;
  static final int MAP_0F38 = 2;
  static final int MAP_0F3A = 3;
  static final int NO_PREFIX = 0;
  static final int PREFIX_66 = 1;
  static final int PREFIX_F3 = 2;
  static final int PREFIX_F2 = 3;
  static final int W = 0x80;
  static final int BITS_512 = 0x40;
  static final int BROADCAST = 0x10;
  static final int ZEROS = 0x80; // where the mask has none, not what was there

  static final int ZMM_BYTES = 64;
  static final int SHORT_JUMP_BYTES = 2;
  static final int NEAR_JUMP_BYTES = 6;

  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

  /** All instructions so far. */
  final byte[] bytes() {
    return bytes.toByteArray();
  }

  /** Where the next instruction starts: a target for {@link X86#jnz}. */
  final int here() {
    return bytes.size();
  }

  /**
   * The EVEX prefix.
   *
   * @param reg the register of ModRM's middle field, 0 to 31
   * @param vvvv the second operand, 0 to 31
   * @param b bit 3 of the register or base in ModRM's last field
   * @param x bit 4 of that register; 0 for memory without an index
   */
  final void evex(int map, int prefix, int reg, int vvvv, int b, int x, int length) {
    int p0 = bit(~reg >> 3, 7) | bit(~x, 6) | bit(~b, 5) | bit(~reg >> 4, 4) | map;
    int p1 = (~vvvv & 0xF) << 3 | 0x04 | prefix;
    int p2 = length | bit(~vvvv >> 4, 3);
    emit(EVEX, p0, p1, p2);
  }

  /** An instruction of zmm registers {@code reg}, {@code vvvv} and {@code rm}. */
  final void evexRegisters(int map, int prefix, int opcode, int reg, int vvvv, int rm) {
    evex(map, prefix, reg, vvvv, rm >> 3 & 1, rm >> 4, BITS_512);
    emit(opcode, direct(reg, rm));
  }

  /** An instruction with an operand in memory, {@code unit} bytes long. */
  final void evexMemory(int map, int prefix, int opcode, int reg, X86.Mem m, int unit, int length) {
    evex(map, prefix, reg, 0, m.base().number >> 3, 0, length);
    emit(opcode);
    memory(reg, m, unit);
  }

  /** The VEX prefix of three bytes, for opcodes of the map 0F 38 without a length. */
  final void vex(int prefix, int reg, int index, int base, int vvvv) {
    int p0 = bit(~reg >> 3, 7) | bit(~index >> 3, 6) | bit(~base >> 3, 5) | MAP_0F38;
    emit(VEX, p0, (~vvvv & 0xF) << 3 | prefix);
  }

  /** Rows of a tile; the SIB byte is part of the instruction, its index is the stride. */
  final void tileMemory(int prefix, int tile, X86.Mem m, X86.Gp stride) {
    if (stride == X86.Gp.RSP) {
      throw new IllegalArgumentException("rsp cannot be a stride");
    }
    vex(prefix, tile, stride.number, m.base().number, 0);
    int base = m.base().number & 7;
    boolean none = m.displacement() == 0 && base != X86.Gp.RBP.number;
    boolean isByte = m.displacement() == (byte) m.displacement();
    emit(0x4B, (none ? 0x00 : isByte ? 0x40 : 0x80) | (tile & 7) << 3 | X86.Gp.RSP.number);
    emit((stride.number & 7) << 3 | base);
    if (!none && isByte) {
      emit(m.displacement());
    } else if (!none) {
      emit32(m.displacement());
    }
  }

  static int bit(int value, int at) {
    return (value & 1) << at;
  }

  /**
   * ModRM, SIB and displacement of a memory operand. EVEX counts a displacement of one byte in
   * units of the operand's size.
   */
  final void memory(int reg, X86.Mem m, int unit) {
    int base = m.base().number & 7;
    int middle = (reg & 7) << 3;
    int scaled = m.displacement() / unit;
    boolean isByte = m.displacement() % unit == 0 && scaled == (byte) scaled;
    // Without a displacement rbp and r13 would mean an address relative to the instruction.
    boolean none = m.displacement() == 0 && base != X86.Gp.RBP.number;
    emit((none ? 0x00 : isByte ? 0x40 : 0x80) | middle | base);
    if (base == X86.Gp.RSP.number) {
      emit(0x24); // rsp and r12 are written as a base without an index
    }
    if (!none && isByte) {
      emit(scaled);
    } else if (!none) {
      emit32(m.displacement());
    }
  }

  static int rex(boolean wide, int reg, int rm) {
    return 0x40 | (wide ? 8 : 0) | reg >> 3 << 2 | rm >> 3;
  }

  static int direct(int reg, int rm) {
    return 0xC0 | (reg & 7) << 3 | rm & 7;
  }

  static int low(X86.Gp register) {
    if (register.number >= 8) {
      throw new IllegalArgumentException("needs a register below R8, got " + register);
    }
    return register.number;
  }

  final void emit(int... values) {
    for (int v : values) {
      bytes.write(v);
    }
  }

  final void emit32(int v) {
    emit(v, v >> 8, v >> 16, v >> 24);
  }
}
