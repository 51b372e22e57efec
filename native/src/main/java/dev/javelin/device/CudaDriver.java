package dev.javelin.device;

import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import jcuda.driver.CUdevice;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/** What the CUDA driver of this machine says of itself. Nothing here runs on a GPU yet. */
public final class CudaDriver {
  private static final String LIBRARY =
      System.getProperty("os.name", "").startsWith("Windows") ? "nvcuda.dll" : "libcuda.so.1";

  private CudaDriver() {}

  /** One line: the driver's version and its devices, or what is missing. */
  public static String describe() {
    try (Arena arena = Arena.ofConfined()) {
      SymbolLookup.libraryLookup(LIBRARY, arena);
    } catch (IllegalArgumentException absent) {
      return "none (" + LIBRARY + " not found); not needed, this version computes on the CPU";
    }
    try {
      return ask();
    } catch (LinkageError e) {
      return LIBRARY + " is here, but JCuda's natives for this platform are not";
    }
  }

  private static String ask() {
    int result = JCudaDriver.cuInit(0);
    if (result != CUresult.CUDA_SUCCESS) {
      return LIBRARY
          + " is here, but does not start ("
          + CUresult.stringFor(result)
          + "); check the card with nvidia-smi";
    }
    int[] version = new int[1];
    int[] count = new int[1];
    JCudaDriver.cuDriverGetVersion(version);
    JCudaDriver.cuDeviceGetCount(count);
    List<String> names = new ArrayList<>();
    for (int i = 0; i < count[0]; i++) {
      CUdevice device = new CUdevice();
      JCudaDriver.cuDeviceGet(device, i);
      byte[] name = new byte[256];
      JCudaDriver.cuDeviceGetName(name, name.length, device);
      names.add(new String(name, StandardCharsets.UTF_8).replaceFirst("\0.*", ""));
    }
    return "CUDA %d.%d, %s; this version computes on the CPU"
        .formatted(
            version[0] / 1000,
            version[0] % 1000 / 10,
            names.isEmpty() ? "no device" : String.join(", ", names));
  }
}
