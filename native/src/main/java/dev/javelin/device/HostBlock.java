package dev.javelin.device;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * A block of the C library's memory, given back in two parts. {@link #retire} returns its pages at
 * once. Its addresses follow when no segment over them can be reached any more, so a thread that
 * still reads a block which another one has closed reads zeros: kernels check that memory is open
 * where they take its address, and run without checks from there on.
 */
final class HostBlock {
  private static final long ALIGNMENT = 256;
  private static final long HUGE_PAGE = 2L << 20;
  private static final long PAGE = 64 << 10; // the largest that systems are built with
  private static final long MOST_RETIRED_BYTES = CLibrary.dropsPages() ? 1L << 40 : 1L << 32;
  private static final long GC_NANOS = 50_000_000;
  private static final AtomicLong RETIRED_BYTES = new AtomicLong();

  private final MemorySegment segment;
  private final AtomicLong retired; // of this block; the cleaning action may not hold the block

  private HostBlock(MemorySegment segment, AtomicLong retired) {
    this.segment = segment;
    this.retired = retired;
  }

  /** Bytes of a block of at least {@code least}. */
  static long size(long least) {
    return Math.max(ALIGNMENT, Math.ceilDiv(least, ALIGNMENT) * ALIGNMENT);
  }

  /**
   * At least {@code least} bytes, zeroed, 256-byte aligned, untouched until used.
   *
   * @throws OutOfMemoryError where the system refuses
   */
  static HostBlock allocate(long least) {
    long alignment = least >= 2 * HUGE_PAGE ? HUGE_PAGE : ALIGNMENT;
    long size = size(least);
    AtomicLong retired = new AtomicLong();
    MemorySegment raw =
        calloc(size + alignment)
            .reinterpret(
                Arena.ofAuto(),
                p -> {
                  RETIRED_BYTES.addAndGet(-retired.get());
                  CLibrary.free(p);
                });
    MemorySegment segment = raw.asSlice(Math.floorMod(-raw.address(), alignment), size);
    if (alignment == HUGE_PAGE) {
      CLibrary.adviseHugePages(segment);
    }
    return new HostBlock(segment, retired);
  }

  /**
   * The same of addresses alone, of which only pages that are written take memory; where the system
   * has no such thing, a block as any.
   */
  static HostBlock reserve(long least) {
    long size = size(least);
    MemorySegment p = CLibrary.reserve(size);
    if (p.equals(MemorySegment.NULL)) {
      return allocate(least);
    }
    AtomicLong retired = new AtomicLong();
    return new HostBlock(
        p.reinterpret(
            size,
            Arena.ofAuto(),
            q -> {
              RETIRED_BYTES.addAndGet(-retired.get());
              CLibrary.unreserve(q, size);
            }),
        retired);
  }

  private static MemorySegment calloc(long bytes) {
    MemorySegment p = CLibrary.calloc(bytes);
    if (p.equals(MemorySegment.NULL) && RETIRED_BYTES.get() > 0) {
      System.gc(); // some systems count addresses as memory
      LockSupport.parkNanos(GC_NANOS);
      p = CLibrary.calloc(bytes);
    }
    if (p.equals(MemorySegment.NULL)) {
      throw new OutOfMemoryError("the operating system refused " + bytes + " bytes of host memory");
    }
    return p.reinterpret(bytes);
  }

  MemorySegment segment() {
    return segment;
  }

  /** Gives the pages back. What is smaller than two of them waits for its addresses. */
  void retire() {
    long from = Math.ceilDiv(segment.address(), PAGE) * PAGE;
    long to = (segment.address() + segment.byteSize()) / PAGE * PAGE;
    if (from < to) {
      CLibrary.dropPages(segment.asSlice(from - segment.address(), to - from));
    }
    retired.set(segment.byteSize());
    if (RETIRED_BYTES.addAndGet(segment.byteSize()) > MOST_RETIRED_BYTES) {
      System.gc();
    }
  }
}
