package dev.javelin.kernels.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/**
 * Runs x86-64 machine code by interpretation: the second, independent computation that proves code
 * for processors that are not there. It knows the instructions of {@link X86Op}, takes their
 * meaning from the manual and touches only memory it was given.
 *
 * <p>The code is called as a function after the System V convention. Registers that carry no
 * argument hold garbage at the start, so code that relies on a zero is found; {@link #run} checks
 * that the function gives back the stack pointer, the registers it must preserve and the tiles.
 *
 * @see <a href="https://www.intel.com/sdm">Intel 64 and IA-32 Architectures Software Developer's
 *     Manual, volume 2</a>
 * @see <a href="https://gitlab.com/x86-psABIs/x86-64-ABI">System V ABI, AMD64, 3.2.3</a>
 */
final class X86Machine {
  private static final int RCX = 1;
  private static final int RDX = 2;
  private static final int RSP = 4;
  private static final int[] CPUID_ANSWERS = {0, 3, RCX, RDX};
  private static final int[] ARGUMENTS = {7, 6, RDX, RCX, 8, 9};
  private static final int[] PRESERVED = {3, 5, 12, 13, 14, 15};
  private static final long RETURN = 0x7e57_0000_dead_0000L;
  private static final int STACK = 1 << 16;

  private final byte[] code;
  private final X86Decoder decoder;
  private final X86Instruction[] decoded;
  private final X86Memory memory = new X86Memory();
  private final MemorySegment stack;
  private final long codeAt;
  private final X86Vector vector = new X86Vector(memory);
  private final X86Tiles tiles = new X86Tiles(memory);
  private final long[] r = new long[16];
  private boolean carry;
  private boolean zero;
  private boolean sign;
  private boolean overflow;
  private Identity processor =
      new Identity() {
        @Override
        public int[] cpuid(int leaf, int subleaf) {
          throw new X86Fault("no identity is given");
        }

        @Override
        public long xcr0() {
          throw new X86Fault("no identity is given");
        }
      };
  private long limit = 100_000_000;
  private long executed;

  X86Machine(byte[] code) {
    this.code = code.clone();
    decoder = new X86Decoder(code);
    decoded = new X86Instruction[code.length];
    Arena arena = Arena.ofAuto();
    MemorySegment text = arena.allocate(code.length, 64);
    text.copyFrom(MemorySegment.ofArray(code));
    memory.add(text.asReadOnly());
    codeAt = text.address();
    stack = arena.allocate(STACK, 64);
    memory.add(stack);
  }

  /** Allows the code to touch these segments as well; a read-only one may only be read. */
  X86Machine memory(MemorySegment... segments) {
    for (MemorySegment s : segments) {
      memory.add(s);
    }
    return this;
  }

  /** The processor and the system around the code, of which it may ask. */
  interface Identity {
    /** eax, ebx, ecx, edx. */
    int[] cpuid(int leaf, int subleaf);

    long xcr0();

    default long syscall(long number, long a, long b, long c) {
      throw new X86Fault("system call " + number);
    }
  }

  X86Machine identity(Identity processor) {
    this.processor = processor;
    return this;
  }

  /** Ends a program after so many instructions. */
  X86Machine limit(long instructions) {
    limit = instructions;
    return this;
  }

  /** Every instruction of the code in its order, for a comparison with another decoder. */
  static List<X86Instruction> decodeAll(byte[] code) {
    List<X86Instruction> all = new ArrayList<>();
    X86Decoder decoder = new X86Decoder(code);
    for (int at = 0; at < code.length; ) {
      X86Instruction i = decoder.decode(at);
      all.add(i);
      at = i.end();
    }
    return all;
  }

  /** Calls the code with integer arguments; returns rax. */
  long run(long... arguments) {
    for (int n = 0; n < 16; n++) {
      r[n] = 0xbad0_beef_0000_0000L | n * 0x1111L;
    }
    carry = zero = sign = overflow = true;
    vector.poison();
    tiles.reset();
    long top = stack.address() + STACK - 64 - 8L * arguments.length;
    long entry = (top & -16) - 8; // 16-byte aligned before the call pushed the way back
    memory.setLong(entry, RETURN);
    for (int n = 0; n < arguments.length; n++) {
      if (n < ARGUMENTS.length) {
        r[ARGUMENTS[n]] = arguments[n];
      } else {
        memory.setLong(entry + 8L * (n - ARGUMENTS.length + 1), arguments[n]);
      }
    }
    r[RSP] = entry;
    long[] before = r.clone();
    executed = 0;
    int at = 0;
    while (at >= 0) {
      at = step(at);
    }
    if (r[RSP] != entry + 8) {
      throw new X86Fault("returns with rsp off by %d".formatted(r[RSP] - entry - 8));
    }
    for (int n : PRESERVED) {
      if (r[n] != before[n]) {
        throw new X86Fault("does not give back " + X86Text.general(n, 8));
      }
    }
    if (tiles.configured()) {
      throw new X86Fault("returns with configured tiles");
    }
    return r[0];
  }

  /** Whether vzeroupper stood before the return, if vectors wider than 128 bits were written. */
  boolean upperHalvesAreClean() {
    return vector.upperHalvesAreClean();
  }

  /** How many instructions the last run took. */
  long executed() {
    return executed;
  }

  private int step(int at) {
    if (at >= code.length) {
      throw new X86Fault("runs past the end of the code, to offset 0x%x".formatted(at));
    }
    X86Instruction i = decoded[at];
    if (i == null) {
      i = decoder.decode(at);
      decoded[at] = i;
    }
    try {
      if (++executed > limit) {
        throw new X86Fault("does not end within %d instructions".formatted(limit));
      }
      return execute(i);
    } catch (X86Fault e) {
      throw new X86Fault(
          "at offset 0x%x, %s (%s): %s"
              .formatted(
                  i.offset,
                  i,
                  HexFormat.ofDelimiter(" ").formatHex(code, i.offset, i.end()),
                  e.getMessage()));
    }
  }

  /** Runs one instruction; returns where the next one is, or −1 after the last return. */
  private int execute(X86Instruction i) {
    switch (i.op) {
      case MOV -> put(i, source(i));
      case MOVZX ->
          r[i.reg] =
              i.memory
                  ? narrow(address(i), i.narrow)
                  : r[narrowRegister(i)] & (i.narrow == 1 ? 0xff : 0xffff);
      case MOVSXD -> r[i.reg] = i.memory ? memory.getInt(address(i)) : (int) r[i.rm];
      case LEA -> setRegister(i.reg, i.size, address(i));
      case ADD, SUB, CMP, AND, OR, XOR, TEST -> arithmetic(i);
      case INC, DEC -> increment(i, i.op == X86Op.INC ? 1 : -1);
      case NEG -> {
        long x = get(i);
        put(i, -x);
        subtracted(0, x, i.size);
      }
      case NOT -> put(i, ~get(i));
      case SHL, SHR, SAR -> shift(i);
      case IMUL -> {
        long a = i.immediate ? i.value : register(i.reg, i.size);
        setRegister(i.reg, i.size, a * get(i)); // flags: not modelled, see flags()
        undefinedFlags();
      }
      case CMOV -> {
        // the source is read whatever the condition is
        long x = get(i);
        setRegister(i.reg, i.size, holds(i.condition) ? x : register(i.reg, i.size));
      }
      case PUSH -> push(r[i.rm]);
      case POP -> r[i.rm] = pop();
      case RET -> {
        long to = pop();
        if (to != RETURN) {
          throw new X86Fault("returns to 0x%x, not to its caller".formatted(to));
        }
        return -1;
      }
      case JMP -> {
        return target(i);
      }
      case J -> {
        return holds(i.condition) ? target(i) : i.end();
      }
      case NOP, ENDBR64, PREFETCHT0, PREFETCHT1, PREFETCHT2, PREFETCHNTA -> {
        // a prefetch may name any address
      }
      case CPUID -> {
        int[] answer = processor.cpuid((int) r[0], (int) r[RCX]);
        for (int n = 0; n < 4; n++) {
          r[CPUID_ANSWERS[n]] = answer[n] & 0xffffffffL;
        }
      }
      case XGETBV -> {
        if ((int) r[RCX] != 0) {
          throw new X86Fault("#GP: xgetbv of another register than 0");
        }
        r[0] = processor.xcr0() & 0xffffffffL;
        r[RDX] = processor.xcr0() >>> 32;
      }
      case SYSCALL -> {
        r[0] = processor.syscall(r[0], r[7], r[6], r[RDX]);
        r[RCX] = codeAt + i.end();
        r[11] = 0xf1a65; // the flags
      }
      case BZHI -> {
        long n = r[i.vvvv] & 0xff;
        long x = get(i);
        setRegister(i.reg, i.size, n < 8L * i.size ? x & ((1L << n) - 1) : x);
        undefinedFlags();
      }
      case SHLX -> setRegister(i.reg, i.size, get(i) << (r[i.vvvv] & (8 * i.size - 1)));
      case KMOVW -> vector.setOpmask(i.reg, r[i.rm] & 0xffff);
      case KMOVD -> vector.setOpmask(i.reg, r[i.rm] & 0xffffffffL);
      case KMOVQ -> vector.setOpmask(i.reg, r[i.rm]);
      case KMOVW_STORE -> r[i.reg] = vector.opmask(i.rm) & 0xffff;
      case LDTILECFG, STTILECFG, TILERELEASE, TILEZERO, TDPBF16PS ->
          tiles.run(i, i.memory ? address(i) : 0, 0);
      case TILELOADD, TILELOADDT1, TILESTORED -> {
        // the index is the stride between rows, not a part of the address
        long stride = i.index == X86Instruction.NO_REGISTER ? 0 : r[i.index] * i.scale;
        tiles.run(i, address(i) - stride, stride);
      }
      default -> vector.run(i, i.memory ? address(i) : 0);
    }
    return i.end();
  }

  private int target(X86Instruction i) {
    if (i.value < 0 || i.value >= code.length) {
      throw new X86Fault("jumps out of the code");
    }
    return (int) i.value;
  }

  private void arithmetic(X86Instruction i) {
    long a = destination(i);
    long b = source(i);
    switch (i.op) {
      case ADD -> {
        long sum = a + b;
        put(i, sum);
        long s = extend(sum, i.size);
        flags(s);
        carry = Long.compareUnsigned(low(s, i.size), low(a, i.size)) < 0;
        overflow = ((a ^ s) & (b ^ s)) < 0;
      }
      case SUB, CMP -> {
        if (i.op == X86Op.SUB) {
          put(i, a - b);
        }
        subtracted(a, b, i.size);
      }
      default -> {
        long x =
            switch (i.op) {
              case AND, TEST -> a & b;
              case OR -> a | b;
              default -> a ^ b;
            };
        if (i.op != X86Op.TEST) {
          put(i, x);
        }
        flags(x);
        carry = overflow = false;
      }
    }
  }

  private void subtracted(long a, long b, int size) {
    long d = extend(a - b, size);
    flags(d);
    carry = Long.compareUnsigned(low(a, size), low(b, size)) < 0;
    overflow = ((a ^ b) & (a ^ d)) < 0;
  }

  private void increment(X86Instruction i, int by) {
    long x = extend(get(i) + by, i.size);
    put(i, x);
    flags(x); // the carry stays
    long edge = i.size == 8 ? Long.MIN_VALUE : Integer.MIN_VALUE;
    overflow = x == (by > 0 ? edge : -(edge + 1));
  }

  private void shift(X86Instruction i) {
    int bits = 8 * i.size;
    int n = (int) (i.immediate ? i.value : r[RCX]) & (bits - 1);
    long x = get(i);
    if (n == 0) {
      put(i, x); // clears the upper half all the same
      return;
    }
    long y =
        switch (i.op) {
          case SHL -> x << n;
          case SHR -> low(x, i.size) >>> n;
          default -> x >> n;
        };
    put(i, y);
    undefinedFlags();
    flags(extend(y, i.size));
    carry = ((i.op == X86Op.SHL ? x >>> (bits - n) : low(x, i.size) >>> (n - 1)) & 1) != 0;
  }

  private void flags(long x) {
    zero = x == 0;
    sign = x < 0;
  }

  /** What the manual leaves open, or what this machine does not model, is garbage. */
  private void undefinedFlags() {
    carry = zero = sign = overflow = (executed & 1) != 0;
  }

  private boolean holds(int condition) {
    boolean x =
        switch (condition >> 1) {
          case 0 -> overflow;
          case 1 -> carry;
          case 2 -> zero;
          case 3 -> carry || zero;
          case 4 -> sign;
          case 5 -> throw new X86Fault("the parity flag is not modelled");
          case 6 -> sign != overflow;
          default -> zero || sign != overflow;
        };
    return x != ((condition & 1) != 0);
  }

  private long narrow(long address, int bytes) {
    int low = memory.getByte(address);
    return bytes == 1 ? low : low | memory.getByte(address + 1) << 8;
  }

  private static int narrowRegister(X86Instruction i) {
    if (i.narrow == 1 && i.rm >= 4 && i.rm < 8) {
      throw new X86Fault("ah to bh, or spl to dil, are not known");
    }
    return i.rm;
  }

  private long address(X86Instruction i) {
    long at = i.displacement;
    if (i.base == X86Instruction.RIP) {
      at += codeAt + i.end();
    } else if (i.base != X86Instruction.NO_REGISTER) {
      at += r[i.base];
    }
    return i.index == X86Instruction.NO_REGISTER ? at : at + r[i.index] * i.scale;
  }

  /** The value of r/m, with its sign. */
  private long get(X86Instruction i) {
    if (i.memory) {
      return i.size == 8 ? memory.getLong(address(i)) : memory.getInt(address(i));
    }
    return register(i.rm, i.size);
  }

  private long register(int n, int size) {
    return extend(r[n], size);
  }

  private long destination(X86Instruction i) {
    return i.immediate || i.toMemory ? get(i) : register(i.reg, i.size);
  }

  private long source(X86Instruction i) {
    return i.immediate ? i.value : i.toMemory ? register(i.reg, i.size) : get(i);
  }

  private void put(X86Instruction i, long value) {
    if (!i.immediate && !i.toMemory) {
      setRegister(i.reg, i.size, value);
    } else if (!i.memory) {
      setRegister(i.rm, i.size, value);
    } else if (i.size == 8) {
      memory.setLong(address(i), value);
    } else {
      memory.setInt(address(i), (int) value);
    }
  }

  /** A write of 32 bits clears the upper half. */
  private void setRegister(int n, int size, long value) {
    r[n] = low(value, size);
  }

  private static long extend(long x, int size) {
    return size == 8 ? x : (int) x;
  }

  private static long low(long x, int size) {
    return size == 8 ? x : x & 0xffffffffL;
  }

  private void push(long value) {
    r[RSP] -= 8;
    memory.setLong(r[RSP], value);
  }

  private long pop() {
    long value = memory.getLong(r[RSP]);
    r[RSP] += 8;
    return value;
  }
}
