package dev.javelin.kernels.cpu;

/** What a processor would answer with an exception, or what {@link X86Machine} does not know. */
final class X86Fault extends RuntimeException {
  private static final long serialVersionUID = 1;

  X86Fault(String message) {
    super(message);
  }
}
