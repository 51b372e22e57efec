package dev.javelin.device;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.invoke.MethodHandle;

/**
 * The device that tests of CUDA run on: the emulated one, or what {@code -Djavelin.test.device}
 * says, {@code cuda}, {@code cuda:1} or {@code none}. And the emulated device's switches.
 */
public final class TestCuda {
  private static final String CHOICE = System.getProperty("javelin.test.device", "emulator");

  private TestCuda() {}

  static String choice() {
    return CHOICE;
  }

  /** Whether tests run on the emulated device. */
  public static boolean isEmulated() {
    return CHOICE.equals("emulator");
  }

  /** Whether tests that run on the CPU too should ask for a CUDA device: not where it is none. */
  public static boolean isWanted() {
    return !CHOICE.equals("none");
  }

  /** Why there is no device for tests; empty where there is one. */
  public static String missing() {
    if (!isWanted()) {
      return "tests of CUDA are left out here (javelin.test.device is none)";
    }
    return isEmulated() && !Cuda.hasEmulator()
        ? "this build has no emulated device (g++ was not found); -Djavelin.test.device=cuda tests on a GPU"
        : "";
  }

  /** Opens the device. */
  public static Cuda open(KernelImages images) {
    return isEmulated()
        ? Cuda.emulated(images)
        : Cuda.open(CHOICE.startsWith("cuda:") ? Integer.parseInt(CHOICE.substring(5)) : 0, images);
  }

  /** Turns a switch of the emulated device, which must be open or have been. */
  public static void set(String key, String value) {
    try (Arena arena = Arena.ofConfined()) {
      int result =
          (int)
              call("javelin_emulator_set", FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS))
                  .invokeExact(arena.allocateFrom(key), arena.allocateFrom(value));
      if (result != 0) {
        throw new IllegalArgumentException("no switch of the emulator: " + key + " = " + value);
      }
    } catch (RuntimeException e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /** How often driver calls whose name begins so were made. */
  public static long calls(String prefix) {
    try (Arena arena = Arena.ofConfined()) {
      return (long)
          call("javelin_emulator_calls", FunctionDescriptor.of(JAVA_LONG, ADDRESS))
              .invokeExact(arena.allocateFrom(prefix));
    } catch (RuntimeException e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  private static MethodHandle call(String name, FunctionDescriptor type) {
    return Linker.nativeLinker()
        .downcallHandle(CudaDriver.current().symbol(name).orElseThrow(), type);
  }
}
