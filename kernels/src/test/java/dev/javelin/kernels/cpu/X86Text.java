package dev.javelin.kernels.cpu;

/** Instructions in the notation of {@code objdump -M intel}, for errors and to compare with it. */
final class X86Text {
  private static final String[] LONGS = {
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15", "rip"
  };
  private static final String[] CONDITIONS = {
    "o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"
  };

  private X86Text() {}

  static String of(X86Instruction i) {
    String name = i.op.text.isEmpty() ? legacyName(i) : i.op.text;
    if (i.op == X86Op.VPDPBUSD && !i.evex) {
      name = "{vex} " + name; // binutils says which of the two it is
    }
    String operands = i.op.text.isEmpty() ? legacy(i) : vector(i);
    return operands.isEmpty() ? name : name + " " + operands;
  }

  private static String legacyName(X86Instruction i) {
    return switch (i.op) {
      case J -> "j" + CONDITIONS[i.condition];
      case CMOV -> "cmov" + CONDITIONS[i.condition];
      case MOV -> i.immediate && i.wide && i.length == 10 ? "movabs" : "mov";
      default -> i.op.name().toLowerCase(java.util.Locale.ROOT);
    };
  }

  private static String legacy(X86Instruction i) {
    return switch (i.op) {
      case RET, ENDBR64, CPUID, XGETBV, SYSCALL -> "";
      case J, JMP -> "0x%x".formatted(i.value);
      case PREFETCHT0, PREFETCHT1, PREFETCHT2, PREFETCHNTA -> rm(i, "BYTE PTR ", i.size);
      case LEA -> general(i.reg, i.size) + "," + address(i);
      case MOVSXD -> general(i.reg, 8) + "," + rm(i, "DWORD PTR ", 4);
      case MOVZX ->
          general(i.reg, i.size) + "," + rm(i, i.narrow == 1 ? "BYTE PTR " : "WORD PTR ", i.narrow);
      case NOP -> i.memory ? rm(i, sizeName(i.size), i.size) : "";
      case SHL, SHR, SAR -> rm(i, sizeName(i.size), i.size) + "," + (i.immediate ? value(i) : "cl");
      case IMUL ->
          general(i.reg, i.size)
              + ","
              + rm(i, sizeName(i.size), i.size)
              + (i.immediate ? "," + value(i) : "");
      default -> {
        String rm = rm(i, sizeName(i.size), i.size);
        if (i.immediate) {
          yield rm + "," + value(i);
        }
        if (i.reg == X86Instruction.NO_REGISTER) {
          yield rm;
        }
        String reg = general(i.reg, i.size);
        yield i.toMemory ? rm + "," + reg : reg + "," + rm;
      }
    };
  }

  private static String value(X86Instruction i) {
    if (i.op == X86Op.SHL || i.op == X86Op.SHR || i.op == X86Op.SAR) {
      return i.length > 2 && i.value != 1 ? "0x%x".formatted(i.value & 0xff) : "1";
    }
    return i.size == 8 ? "0x%x".formatted(i.value) : "0x%x".formatted((int) i.value);
  }

  private static String vector(X86Instruction i) {
    int rmSize =
        switch (i.op.tuple) {
          case SCALAR, SCALAR_64 -> 16;
          case HALF_MEM -> i.size / 2;
          case QUARTER_MEM -> i.size / 4;
          case NONE, FULL, FULL_MEM -> i.size;
        };
    String memory =
        switch (i.op.tuple) {
          case SCALAR -> "DWORD PTR ";
          case SCALAR_64 -> "QWORD PTR ";
          case NONE, FULL, FULL_MEM, HALF_MEM, QUARTER_MEM ->
              i.broadcast ? "DWORD BCST " : sizeName(rmSize);
        };
    return switch (i.op.form) {
      case NONE -> "";
      case M -> address(i);
      case RM -> mask(i, register(i.reg, i.size)) + "," + vectorRm(i, memory, rmSize);
      case MR -> mask(i, vectorRm(i, memory, rmSize)) + "," + register(i.reg, i.size);
      case RVM ->
          mask(i, register(i.reg, i.size))
              + ","
              + register(i.vvvv, i.size)
              + ","
              + vectorRm(i, memory, rmSize);
      case RMV ->
          general(i.reg, i.size)
              + ","
              + rm(i, sizeName(i.size), i.size)
              + ","
              + general(i.vvvv, i.size);
      case RVMI ->
          mask(i, register(i.reg, i.size))
              + ","
              + register(i.vvvv, i.size)
              + ","
              + vectorRm(i, memory, rmSize)
              + ",0x%x".formatted(i.value);
      case MRI -> register(i.rm, 16) + "," + register(i.reg, i.size) + ",0x%x".formatted(i.value);
      case VMI ->
          mask(i, register(i.vvvv, i.size))
              + ","
              + vectorRm(i, memory, rmSize)
              + ",0x%x".formatted(i.value);
      case RK -> "k" + i.reg + "," + general(i.rm, i.wide ? 8 : 4);
      case KR -> general(i.reg, 4) + ",k" + i.rm;
      case T -> "tmm" + i.reg;
      case TM -> "tmm" + i.reg + "," + address(i);
      case MT -> address(i) + ",tmm" + i.reg;
      case TTT -> "tmm" + i.reg + ",tmm" + i.rm + ",tmm" + i.vvvv;
    };
  }

  private static String mask(X86Instruction i, String operand) {
    return operand + (i.mask == 0 ? "" : "{k" + i.mask + "}") + (i.zeroing ? "{z}" : "");
  }

  private static String register(int number, int size) {
    return (size == 64 ? "zmm" : size == 32 ? "ymm" : "xmm") + number;
  }

  private static String vectorRm(X86Instruction i, String memory, int size) {
    return i.memory ? memory + address(i) : register(i.rm, size);
  }

  private static String rm(X86Instruction i, String memory, int size) {
    return i.memory ? memory + address(i) : general(i.rm, size);
  }

  private static String sizeName(int size) {
    return switch (size) {
      case 4 -> "DWORD PTR ";
      case 8 -> "QWORD PTR ";
      case 16 -> "XMMWORD PTR ";
      case 32 -> "YMMWORD PTR ";
      default -> "ZMMWORD PTR ";
    };
  }

  static String general(int number, int size) {
    String name = LONGS[number];
    if (size == 8) {
      return name;
    }
    if (size == 4) {
      return number >= 8 ? name + "d" : "e" + name.substring(1);
    }
    String[] words = {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"};
    String[] bytes = {"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"};
    return number >= 8 ? name + (size == 2 ? "w" : "b") : (size == 2 ? words : bytes)[number];
  }

  private static String address(X86Instruction i) {
    StringBuilder text = new StringBuilder("[");
    if (i.base != X86Instruction.NO_REGISTER) {
      text.append(LONGS[i.base]);
    }
    if (i.index != X86Instruction.NO_REGISTER) {
      text.append(text.length() > 1 ? "+" : "").append(LONGS[i.index]).append("*").append(i.scale);
    }
    if (i.sib && i.index == X86Instruction.NO_REGISTER && i.base >= 0 && (i.base & 7) != 4) {
      text.append("+riz*1"); // an SIB byte that no register needs
    }
    long d = i.displacement;
    boolean bare = i.base == X86Instruction.NO_REGISTER || i.base == X86Instruction.RIP;
    if (d < 0) {
      text.append("-0x%x".formatted(-d));
    } else if (d > 0 || bare || i.displaced) {
      text.append(text.length() > 1 ? "+" : "").append("0x%x".formatted(d));
    }
    return text.append("]").toString();
  }
}
