package dev.javelin.device;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Optional;

/**
 * The C functions the CPU device needs. {@code Arena.allocate} is no help: it writes zeros to every
 * page it hands out.
 */
final class CLibrary {
  private static final Linker LINKER = Linker.nativeLinker();
  private static final MethodHandle CALLOC =
      find("calloc", FunctionDescriptor.of(ADDRESS, JAVA_LONG, JAVA_LONG)).orElseThrow();
  private static final MethodHandle FREE =
      find("free", FunctionDescriptor.ofVoid(ADDRESS)).orElseThrow();
  private static final Optional<MethodHandle> MADVISE =
      System.getProperty("os.name", "").startsWith("Linux")
          ? find("madvise", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT))
          : Optional.empty();
  private static final Optional<MethodHandle> MMAP =
      MADVISE.flatMap(
          linux ->
              find(
                  "mmap",
                  FunctionDescriptor.of(
                      ADDRESS, ADDRESS, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG)));
  private static final Optional<MethodHandle> MUNMAP =
      find("munmap", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG));
  private static final Optional<MethodHandle> MPROTECT =
      MADVISE.flatMap(
          linux -> find("mprotect", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT)));
  private static final int PROT_READ_WRITE = 3;
  private static final int PROT_READ_EXECUTE = 5;
  private static final int MAP_PRIVATE_ANONYMOUS_NORESERVE = 0x2 | 0x20 | 0x4000;
  private static final long MAP_FAILED = -1;
  private static final int MADV_DONTNEED = 4;
  private static final int MADV_HUGEPAGE = 14;

  private CLibrary() {}

  /** Zeroed memory, untouched until used; {@code NULL} where the system refuses. */
  static MemorySegment calloc(long bytes) {
    try {
      return (MemorySegment) CALLOC.invokeExact(1L, bytes);
    } catch (Throwable e) {
      throw new IllegalStateException("calloc", e);
    }
  }

  /**
   * Addresses that read as zeros, of which the system counts those pages alone that are written;
   * {@code NULL} where there is no such thing.
   */
  static MemorySegment reserve(long bytes) {
    if (MMAP.isEmpty() || MUNMAP.isEmpty()) {
      return MemorySegment.NULL;
    }
    try {
      MemorySegment p =
          (MemorySegment)
              MMAP.get()
                  .invokeExact(
                      MemorySegment.NULL,
                      bytes,
                      PROT_READ_WRITE,
                      MAP_PRIVATE_ANONYMOUS_NORESERVE,
                      -1,
                      0L);
      return p.address() == MAP_FAILED ? MemorySegment.NULL : p;
    } catch (Throwable e) {
      throw new IllegalStateException("mmap", e);
    }
  }

  /** Gives back what {@link #reserve} gave. */
  static void unreserve(MemorySegment p, long bytes) {
    try {
      int ignored = (int) MUNMAP.orElseThrow().invokeExact(p, bytes);
    } catch (Throwable e) {
      throw new IllegalStateException("munmap", e);
    }
  }

  /**
   * Pages with {@code code}, executable and no longer writable; {@code NULL} where the system
   * refuses. They are never given back.
   */
  @SuppressWarnings("restricted")
  static MemorySegment executable(byte[] code) {
    MemorySegment p = reserve(code.length);
    if (p.equals(MemorySegment.NULL) || MPROTECT.isEmpty()) {
      return MemorySegment.NULL;
    }
    MemorySegment.copy(code, 0, p.reinterpret(code.length), JAVA_BYTE, 0, code.length);
    try {
      int refused = (int) MPROTECT.get().invokeExact(p, (long) code.length, PROT_READ_EXECUTE);
      if (refused != 0) {
        unreserve(p, code.length);
        return MemorySegment.NULL;
      }
      return p;
    } catch (Throwable e) {
      throw new IllegalStateException("mprotect", e);
    }
  }

  static void free(MemorySegment p) {
    try {
      FREE.invokeExact(p);
    } catch (Throwable e) {
      throw new IllegalStateException("free", e);
    }
  }

  /** Asks for 2 MB pages; a hint, whose refusal changes nothing but speed. */
  static void adviseHugePages(MemorySegment s) {
    advise(s, MADV_HUGEPAGE);
  }

  /** Whether {@link #dropPages} does anything. */
  static boolean dropsPages() {
    return MADVISE.isPresent();
  }

  /** Gives whole pages back to the system; the addresses stay, and read as zeros. */
  static void dropPages(MemorySegment s) {
    advise(s, MADV_DONTNEED);
  }

  private static void advise(MemorySegment s, int advice) {
    if (MADVISE.isPresent()) {
      try {
        int ignored = (int) MADVISE.get().invokeExact(s, s.byteSize(), advice);
      } catch (Throwable e) {
        throw new IllegalStateException("madvise", e);
      }
    }
  }

  private static Optional<MethodHandle> find(String name, FunctionDescriptor type) {
    return LINKER.defaultLookup().find(name).map(f -> LINKER.downcallHandle(f, type));
  }
}
