package dev.javelin.device;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A function given as x86-64 machine code, for instructions that Java does not have. The code is
 * copied into pages that are writable first and executable after that, never both at once, and
 * stays there as long as the process lives.
 *
 * <p>The function takes up to six 64-bit integers or addresses and follows the System V convention:
 * arguments in rdi, rsi, rdx, rcx, r8, r9, the result in rax; rbx, rbp, rsp and r12 to r15 are as
 * before when it returns. A call costs some nanoseconds and holds up the garbage collector, so it
 * must be short.
 *
 * <p>Exists on Linux on x86-64 only. {@code -Djavelin.native=false} switches it off.
 */
public final class MachineCode {
  /** The property that switches machine code off. */
  public static final String PROPERTY = "javelin.native";

  private final MemorySegment entry;

  private MachineCode(MemorySegment entry) {
    this.entry = entry;
  }

  /** Why there is no machine code here, as words of a sentence; {@code null} where there is. */
  public static @Nullable String obstacle() {
    return obstacle(
        System.getProperty(PROPERTY, ""),
        System.getProperty("os.name", ""),
        System.getProperty("os.arch", ""));
  }

  static @Nullable String obstacle(String property, String system, String processor) {
    if (property.equals("false")) {
      return "switched off by -D" + PROPERTY + "=false";
    }
    return system.equals("Linux") && processor.equals("amd64")
        ? null
        : "this is " + system + " on " + processor + ", not Linux on x86-64";
  }

  /** The function; empty where there is an {@link #obstacle} or the system refuses the pages. */
  public static Optional<MachineCode> load(byte[] code) {
    if (obstacle() != null) {
      return Optional.empty();
    }
    MemorySegment entry = CLibrary.executable(code);
    return entry.equals(MemorySegment.NULL)
        ? Optional.empty()
        : Optional.of(new MachineCode(entry));
  }

  long address() {
    return entry.address();
  }

  /** Calls the function. It allocates nothing on Java's heap. */
  public long call(long a, long b, long c, long d, long e, long f) {
    try {
      return (long) Calls.SIX.invokeExact(entry, a, b, c, d, e, f);
    } catch (Throwable t) {
      throw new IllegalStateException("machine code", t);
    }
  }

  /** Made at the first call, so that a machine without machine code never makes it. */
  private static final class Calls {
    /** Critical: the thread does not leave Java's state, which would cost more than the call. */
    static final MethodHandle SIX =
        Linker.nativeLinker()
            .downcallHandle(
                FunctionDescriptor.of(
                    JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG),
                Linker.Option.critical(false));

    private Calls() {}
  }
}
