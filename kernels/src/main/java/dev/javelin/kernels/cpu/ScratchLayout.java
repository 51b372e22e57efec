package dev.javelin.kernels.cpu;

/** Cuts the scratch memory of one piece of work into parts, before it is taken. */
final class ScratchLayout {
  private static final long ALIGNMENT = 64; // a cache line, and the widest vector

  private long bytes;

  /** Sets {@code bytes} aside; returns their offset. */
  long reserve(long bytes) {
    long at = this.bytes;
    this.bytes += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return at;
  }

  /** Bytes of all parts. */
  long bytes() {
    return bytes;
  }
}
