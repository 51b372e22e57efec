package dev.javelin.kernels.cpu;

import java.util.HexFormat;

/**
 * Decodes x86-64 from bytes alone, after chapter 2 of the manual's volume 2. It shares nothing with
 * the assembler under test. What it does not know is an error that shows the bytes.
 */
final class X86Decoder {
  private static final X86Op[] ALU = {
    X86Op.ADD, X86Op.OR, null, null, X86Op.AND, X86Op.SUB, X86Op.XOR, X86Op.CMP
  };

  private final byte[] code;
  private int at;
  private X86Instruction i = new X86Instruction();

  // The bits that a prefix adds to the three register fields of ModRM and SIB, already in place.
  private int regHigh;
  private int indexHigh;
  private int rmHigh;

  /** Bit 4 of a vector register in r/m, which EVEX borrows from the index. */
  private int rmVectorHigh;

  X86Decoder(byte[] code) {
    this.code = code.clone();
  }

  X86Instruction decode(int offset) {
    at = offset;
    i = new X86Instruction();
    i.offset = offset;
    regHigh = indexHigh = rmHigh = rmVectorHigh = 0;
    int prefix = 0;
    int b = u8();
    while (b == 0x66 || b == 0xf2 || b == 0xf3) {
      prefix = b;
      b = u8();
    }
    if (b == 0xc4 || b == 0xc5 || b == 0x62) {
      if (prefix != 0) {
        throw unknown("a prefix before VEX or EVEX is #UD");
      }
      switch (b) {
        case 0xc5 -> vex2();
        case 0xc4 -> vex3();
        default -> evex();
      }
    } else {
      if ((b & 0xf0) == 0x40) { // REX.WRXB
        i.wide = (b & 8) != 0;
        regHigh = (b & 4) << 1;
        indexHigh = (b & 2) << 2;
        rmHigh = (b & 1) << 3;
        b = u8();
      }
      i.size = i.wide ? 8 : 4;
      if (b == 0x0f) {
        twoBytes(u8(), prefix);
      } else if (prefix != 0 && !(prefix == 0x66 && b == 0x90)) {
        throw unknown("16-bit operands and repeated instructions are not known");
      } else {
        oneByte(b);
      }
    }
    i.length = at - offset;
    return i;
  }

  private void oneByte(int b) {
    if (b < 0x40 && ALU[b >> 3] != null && ((b & 7) == 1 || (b & 7) == 3)) {
      i.op = ALU[b >> 3];
      i.toMemory = (b & 7) == 1;
      modrm(0);
      return;
    }
    if (b < 0x40 && ALU[b >> 3] != null && (b & 7) == 5) {
      i.op = ALU[b >> 3];
      i.rm = 0;
      immediate(s32());
      return;
    }
    switch (b) {
      case 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57 -> stack(X86Op.PUSH, b);
      case 0x58, 0x59, 0x5a, 0x5b, 0x5c, 0x5d, 0x5e, 0x5f -> stack(X86Op.POP, b);
      case 0x63 -> {
        i.op = X86Op.MOVSXD;
        modrm(0);
        if (!i.wide) {
          throw unknown("movsxd without REX.W");
        }
      }
      case 0x69, 0x6b -> {
        i.op = X86Op.IMUL;
        modrm(b == 0x6b ? 1 : 4);
        immediate(b == 0x6b ? s8() : s32());
      }
      case 0x70,
          0x71,
          0x72,
          0x73,
          0x74,
          0x75,
          0x76,
          0x77,
          0x78,
          0x79,
          0x7a,
          0x7b,
          0x7c,
          0x7d,
          0x7e,
          0x7f -> {
        i.op = X86Op.J;
        i.condition = b & 15;
        branch(s8());
      }
      case 0x81, 0x83 -> {
        X86Op op = ALU[modrm(b == 0x83 ? 1 : 4)];
        if (op == null) {
          throw unknown("adc and sbb are not known");
        }
        group(op);
        immediate(b == 0x83 ? s8() : s32());
      }
      case 0x85, 0x89 -> {
        i.op = b == 0x85 ? X86Op.TEST : X86Op.MOV;
        i.toMemory = true;
        modrm(0);
      }
      case 0x8b, 0x8d -> {
        i.op = b == 0x8b ? X86Op.MOV : X86Op.LEA;
        modrm(0);
        if (b == 0x8d && !i.memory) {
          throw unknown("lea of a register is #UD");
        }
      }
      case 0x90 -> i.op = X86Op.NOP;
      case 0xb8, 0xb9, 0xba, 0xbb, 0xbc, 0xbd, 0xbe, 0xbf -> {
        i.op = X86Op.MOV;
        i.rm = (b & 7) | rmHigh;
        immediate(i.wide ? s64() : s32());
      }
      case 0xc1, 0xd1, 0xd3 -> shift(b);
      case 0xc3 -> i.op = X86Op.RET;
      case 0xc7 -> {
        if (modrm(4) != 0) {
          throw unknown("c7 with another field than /0");
        }
        group(X86Op.MOV);
        immediate(s32());
      }
      case 0xe9, 0xeb -> {
        i.op = X86Op.JMP;
        branch(b == 0xeb ? s8() : s32());
      }
      case 0xf7 -> {
        // only /0 has an immediate, and ModRM comes before it
        int field = (peek() >> 3) & 7;
        modrm(field == 0 ? 4 : 0);
        switch (field) {
          case 0 -> immediate(s32());
          case 2, 3 -> {}
          default -> throw unknown("mul and div are not known");
        }
        group(field == 0 ? X86Op.TEST : field == 2 ? X86Op.NOT : X86Op.NEG);
      }
      case 0xff -> {
        int field = modrm(0);
        if (field > 1) {
          throw unknown("indirect jumps and calls are not known");
        }
        group(field == 0 ? X86Op.INC : X86Op.DEC);
      }
      default -> throw unknown("opcode 0x%02x".formatted(b));
    }
  }

  private void twoBytes(int b, int prefix) {
    if (b == 0x1e && prefix == 0xf3 && peek() == 0xfa) {
      u8();
      i.op = X86Op.ENDBR64;
      return;
    }
    if (prefix != 0 && !(prefix == 0x66 && b == 0x1f)) {
      throw unknown("opcode 0x%02x 0x0f 0x%02x".formatted(prefix, b));
    }
    switch (b & 0xf0) {
      case 0x40 -> {
        i.op = X86Op.CMOV;
        i.condition = b & 15;
        modrm(0);
        return;
      }
      case 0x80 -> {
        i.op = X86Op.J;
        i.condition = b & 15;
        branch(s32());
        return;
      }
      default -> {}
    }
    switch (b) {
      case 0x01 -> {
        if (u8() != 0xd0) {
          throw unknown("0f 01 with another byte than d0");
        }
        i.op = X86Op.XGETBV;
      }
      case 0x05 -> i.op = X86Op.SYSCALL;
      case 0xa2 -> i.op = X86Op.CPUID;
      case 0x18 -> {
        int field = modrm(0);
        X86Op[] ops = {X86Op.PREFETCHNTA, X86Op.PREFETCHT0, X86Op.PREFETCHT1, X86Op.PREFETCHT2};
        if (field > 3 || !i.memory) {
          throw unknown("0f 18 /%d".formatted(field));
        }
        group(ops[field]);
      }
      case 0x1f -> {
        modrm(0);
        group(X86Op.NOP);
      }
      case 0xaf -> {
        i.op = X86Op.IMUL;
        modrm(0);
      }
      case 0xb6, 0xb7 -> {
        i.op = X86Op.MOVZX;
        i.narrow = b == 0xb6 ? 1 : 2;
        modrm(0);
      }
      default -> throw unknown("opcode 0x0f 0x%02x".formatted(b));
    }
  }

  private void vex2() {
    int p = u8();
    regHigh = (~p >> 4) & 8;
    vector(false, 1, p & 3, 0, (~p >> 3) & 15, (p >> 2) & 1);
  }

  private void vex3() {
    int p = u8();
    regHigh = (~p >> 4) & 8;
    indexHigh = (~p >> 3) & 8;
    rmHigh = (~p >> 2) & 8;
    int q = u8();
    vector(false, p & 31, q & 3, q >> 7, (~q >> 3) & 15, (q >> 2) & 1);
  }

  private void evex() {
    int p0 = u8();
    int p1 = u8();
    int p2 = u8();
    if ((p0 & 8) != 0 || (p1 & 4) == 0) {
      throw unknown("reserved bits of EVEX");
    }
    regHigh = (~p0 >> 4) & 8 | (~p0 & 0x10);
    indexHigh = (~p0 >> 3) & 8;
    rmHigh = (~p0 >> 2) & 8;
    rmVectorHigh = (~p0 >> 2) & 16;
    i.evex = true;
    i.mask = p2 & 7;
    i.zeroing = (p2 & 0x80) != 0;
    i.broadcast = (p2 & 0x10) != 0;
    vector(true, p0 & 7, p1 & 3, p1 >> 7, (~p1 >> 3) & 15 | (~p2 << 1) & 16, (p2 >> 5) & 3);
  }

  private void vector(boolean evex, int map, int pp, int w, int vvvv, int length) {
    int prefix = new int[] {0, 0x66, 0xf3, 0xf2}[pp];
    i.wide = w == 1;
    i.vvvv = vvvv;
    i.size = 16 << length;
    if (length == 3) {
      throw unknown("vector length 3 is reserved");
    }
    int opcode = u8();
    X86Op op = X86Op.of(evex, prefix, map, opcode, w);
    if (op == X86Op.LDTILECFG && (peek() & 0xc0) == 0xc0) {
      op = X86Op.TILERELEASE;
    }
    if (op == null) {
      throw unknown(
          "%s map %d prefix 0x%02x opcode 0x%02x W%d"
              .formatted(evex ? "EVEX" : "VEX", map, prefix, opcode, w));
    }
    i.op = op;
    if (op == X86Op.VZEROUPPER) {
      require(vvvv == 0 && length == 0, "vzeroupper has L0 and no vvvv");
      return;
    }
    boolean hasByte =
        switch (op.form) {
          case RVMI, MRI, VMI -> true;
          default -> false;
        };
    int mod = modrm(hasByte ? 1 : 0);
    if (hasByte) {
      immediate(u8());
    }
    if (op == X86Op.TILERELEASE) {
      require(mod == 0 && i.rm == 0 && i.reg == 0, "tilerelease is ModRM c0");
    }
    switch (op.form) {
      case RVM, RMV, RVMI, VMI, TTT -> {}
      default -> require(vvvv == 0, "an unused vvvv must be 1111");
    }
    switch (op.form) {
      case RMV, RK, KR, T, TM, MT, TTT, M, NONE -> require(length == 0, "needs L0");
      default -> {}
    }
    switch (op.form) {
      case M -> require(i.memory && i.reg == 0, "needs memory and /0");
      case TM, MT -> require(i.memory, "needs memory");
      case RK, KR, TTT -> require(!i.memory, "needs registers");
      case VMI -> require(mod == 6, "needs /6");
      case MRI -> require(!i.memory, "needs registers");
      case T -> require(!i.memory && i.rm == 0, "ModRM must be 11:rrr:000");
      default -> {}
    }
    if (op.form == X86Op.Form.RMV) {
      i.size = i.wide ? 8 : 4;
    }
    if (i.broadcast) {
      require(i.memory && op.tuple == X86Op.Tuple.FULL, "a broadcast or a rounding it cannot have");
    }
    require(!i.zeroing || i.mask != 0, "zeroing without a mask");
    require(!i.zeroing || !(op.form == X86Op.Form.MR && i.memory), "a store cannot zero");
  }

  /** What an EVEX displacement of one byte is multiplied by. */
  private int tuple() {
    if (!i.evex) {
      return 1;
    }
    return switch (i.op.tuple) {
      case FULL -> i.broadcast ? 4 : i.size;
      case FULL_MEM -> i.size;
      case HALF_MEM -> i.size / 2;
      case QUARTER_MEM -> i.size / 4;
      case SCALAR -> 4;
      case SCALAR_64 -> 8;
      case NONE -> 1;
    };
  }

  /** Reads ModRM with SIB and displacement; returns its reg field without extension. */
  private int modrm(int immediateBytes) {
    int m = u8();
    int mod = m >> 6;
    int low = m & 7;
    i.reg = (m >> 3) & 7 | regHigh;
    if (mod == 3) {
      i.rm = low | rmHigh | rmVectorHigh;
      return (m >> 3) & 7;
    }
    i.memory = true;
    if (low == 4) {
      int sib = u8();
      i.sib = true;
      int index = (sib >> 3) & 7 | indexHigh;
      i.index = index == 4 ? X86Instruction.NO_REGISTER : index;
      i.scale = 1 << (sib >> 6);
      boolean none = (sib & 7) == 5 && mod == 0;
      i.base = none ? X86Instruction.NO_REGISTER : (sib & 7) | rmHigh;
      i.displacement = none ? s32() : 0;
    } else if (low == 5 && mod == 0) {
      i.base = X86Instruction.RIP;
      i.displacement = s32();
    } else {
      i.base = low | rmHigh;
    }
    i.displaced = mod > 0;
    if (mod == 1) {
      i.displacement = (long) s8() * tuple();
    } else if (mod == 2) {
      i.displacement = s32();
    }
    if (at + immediateBytes > code.length) {
      throw unknown("the code ends inside an instruction");
    }
    return (m >> 3) & 7;
  }

  /** An instruction whose reg field is part of the opcode: r/m is all it has. */
  private void group(X86Op op) {
    i.op = op;
    i.reg = X86Instruction.NO_REGISTER;
    i.toMemory = true;
  }

  private void stack(X86Op op, int b) {
    i.op = op;
    i.rm = (b & 7) | rmHigh;
    i.size = 8;
  }

  private void shift(int b) {
    int field = modrm(b == 0xc1 ? 1 : 0);
    group(
        switch (field) {
          case 4 -> X86Op.SHL;
          case 5 -> X86Op.SHR;
          case 7 -> X86Op.SAR;
          default -> throw unknown("rotations are not known");
        });
    switch (b) {
      case 0xc1 -> immediate(s8());
      case 0xd1 -> immediate(1);
      default -> i.reg = 1; // by cl
    }
  }

  private void immediate(long value) {
    i.immediate = true;
    i.value = value;
  }

  private void branch(int relative) {
    immediate(at + relative);
  }

  private void require(boolean holds, String text) {
    if (!holds) {
      throw unknown(i.op.text + ": " + text);
    }
  }

  private X86Fault unknown(String what) {
    int to = Math.min(code.length, i.offset + 16);
    return new X86Fault(
        "cannot decode at offset 0x%x, bytes %s: %s"
            .formatted(i.offset, HexFormat.ofDelimiter(" ").formatHex(code, i.offset, to), what));
  }

  private int peek() {
    int b = u8();
    at--;
    return b;
  }

  private int u8() {
    if (at >= code.length) {
      throw unknown("the code ends here");
    }
    return code[at++] & 0xff;
  }

  private int s8() {
    return (byte) u8();
  }

  private int s32() {
    return u8() | u8() << 8 | u8() << 16 | u8() << 24;
  }

  private long s64() {
    return (s32() & 0xffffffffL) | (long) s32() << 32;
  }
}
