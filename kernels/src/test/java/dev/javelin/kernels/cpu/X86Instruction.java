package dev.javelin.kernels.cpu;

/** One decoded instruction; {@link X86Decoder} fills it, {@link X86Text} prints it. */
final class X86Instruction {
  static final int NO_REGISTER = -1;

  /** As a base: the address of the next instruction. */
  static final int RIP = 16;

  X86Op op = X86Op.NOP;

  /** Where it begins in the code, and how many bytes it has. */
  int offset;

  int length;

  /** Its own bits: the condition of a jump or a move, the register of a push. */
  int condition;

  boolean evex;
  boolean wide;

  /** Bytes of a vector, or of a general register. */
  int size;

  int reg = NO_REGISTER;
  int vvvv;
  int mask;
  boolean zeroing;
  boolean broadcast;

  /** Whether r/m is memory; otherwise {@link #rm} is a register. */
  boolean memory;

  int rm = NO_REGISTER;
  int base = NO_REGISTER;
  int index = NO_REGISTER;
  int scale = 1;
  boolean sib;

  /** Whether it has a displacement, even one of 0. */
  boolean displaced;

  long displacement;

  /** Bytes of a narrow source of {@code movzx}. */
  int narrow;

  boolean immediate;
  long value;

  /** Whether r/m is the destination ({@code add [rdi], rax}) and not the source. */
  boolean toMemory;

  int end() {
    return offset + length;
  }

  @Override
  public String toString() {
    return X86Text.of(this);
  }
}
