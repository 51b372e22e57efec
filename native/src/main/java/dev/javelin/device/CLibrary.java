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
 * The three C functions the CPU device needs. {@code Arena} is no help: it writes zeros to every
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
  private static final int MADV_HUGEPAGE = 14;

  private CLibrary() {}

  /** Zeroed memory, untouched until used. */
  static MemorySegment calloc(long bytes) {
    MemorySegment p;
    try {
      p = (MemorySegment) CALLOC.invokeExact(1L, bytes);
    } catch (Throwable e) {
      throw new IllegalStateException("calloc", e);
    }
    if (p.equals(MemorySegment.NULL)) {
      throw new OutOfMemoryError("the operating system refused " + bytes + " bytes of host memory");
    }
    return p.reinterpret(bytes);
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
    if (MADVISE.isPresent()) {
      try {
        int ignored = (int) MADVISE.get().invokeExact(s, s.byteSize(), MADV_HUGEPAGE);
      } catch (Throwable e) {
        throw new IllegalStateException("madvise", e);
      }
    }
  }

  private static Optional<MethodHandle> find(String name, FunctionDescriptor type) {
    return LINKER.defaultLookup().find(name).map(f -> LINKER.downcallHandle(f, type));
  }
}
