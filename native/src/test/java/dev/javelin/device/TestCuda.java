package dev.javelin.device;

import org.jspecify.annotations.Nullable;

/**
 * The device that tests of CUDA run on: the emulated one, or what {@code -Djavelin.test.device}
 * says, {@code cuda}, {@code cuda:1} or {@code none}. And the emulated device's switches.
 */
public final class TestCuda {
  private static final String CHOICE = System.getProperty("javelin.test.device", "emulator");

  private static @Nullable Cuda keeper;

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

  /**
   * Opens the device. A GPU takes a good part of a second to make the process's context, and
   * hundreds of tests open it: one that is never closed keeps the context for all of them.
   */
  public static synchronized Cuda open(KernelImages images) {
    if (isEmulated()) {
      return Cuda.emulated(images);
    }
    int ordinal = CHOICE.startsWith("cuda:") ? Integer.parseInt(CHOICE.substring(5)) : 0;
    if (keeper == null) {
      keeper = Cuda.open(ordinal, (family, capability, emulated) -> null);
    }
    return Cuda.open(ordinal, images);
  }

  /** Turns a switch of the emulated device; see {@link Emulator#set}. */
  public static void set(String key, String value) {
    Emulator.set(key, value);
  }

  /** How often driver calls whose name begins so were made. */
  public static long calls(String prefix) {
    return Emulator.calls(prefix);
  }
}
