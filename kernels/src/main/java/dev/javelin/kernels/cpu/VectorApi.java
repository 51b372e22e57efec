package dev.javelin.kernels.cpu;

/**
 * Says whether the Vector API module is there. Classes that use its types cannot even be loaded
 * without it; this one names none of them, so it is asked first, where a device is taken into use.
 */
public final class VectorApi {
  private static final String MODULE = "jdk.incubator.vector";

  private VectorApi() {}

  public static boolean present() {
    return ModuleLayer.boot().findModule(MODULE).isPresent();
  }

  /**
   * Does nothing where the module is readable.
   *
   * @throws IllegalStateException naming the flag, where it is not: there is no scalar path
   */
  public static void require() {
    if (!present()) {
      throw new IllegalStateException(
          "Vector API not readable: start with --add-modules " + MODULE);
    }
  }
}
