package dev.javelin.device;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Optional;

/**
 * The three C functions the CPU device needs. {@code Arena.allocate} is no help: it writes zeros to
 * every page it hands out.
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
