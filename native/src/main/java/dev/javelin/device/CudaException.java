package dev.javelin.device;

import java.util.Locale;

/**
 * What the CUDA driver refused, in words: the driver's own name for it, what was asked of it, and
 * the way out where there is one.
 */
public final class CudaException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** {@code CUDA_ERROR_OUT_OF_MEMORY}. */
  static final int OUT_OF_MEMORY = 2;

  /** The first driver that runs what nvcc 13 makes: r580 speaks CUDA 13.0. */
  static final int OLDEST_DRIVER = 13000;

  private final String message;
  private final int code;

  CudaException(int code, String message) {
    super(message);
    this.message = message;
    this.code = code;
  }

  @Override
  public String getMessage() {
    return message;
  }

  /** Whether the device has no more memory. */
  public boolean isOutOfMemory() {
    return code == OUT_OF_MEMORY;
  }

  /** The driver's {@code CUresult}; 0 where the driver was not asked at all. */
  public int code() {
    return code;
  }

  static CudaException noDriver(String library) {
    return new CudaException(
        0,
        "no CUDA driver: "
            + library
            + " not found; install NVIDIA's driver (r580 or later), or use --device cpu");
  }

  static CudaException noNatives(String reason) {
    return new CudaException(
        0,
        "the CUDA driver is here, but JCuda's library for this platform is not ("
            + reason
            + "); JCuda 12.6 has one for Linux and Windows on x86-64");
  }

  static CudaException noEmulator() {
    return new CudaException(
        0,
        "the emulated device is not on the class path: ./javelin --device emulator builds it on Linux if g++"
            + " is found, your own program adds javelin-emulator; or use --device cpu");
  }

  /** The driver does not start; {@code named} is its own word for why. */
  static CudaException noStart(int code, String named) {
    return new CudaException(
        code,
        "the CUDA driver is here, but does not start: "
            + named
            + "; check that nvidia-smi lists a GPU and that CUDA_VISIBLE_DEVICES does not hide it");
  }

  static CudaException outOfMemory(String device, long asked, long free, long total) {
    return new CudaException(
        OUT_OF_MEMORY,
        "out of memory on %s: asked for %s, %s of %s are free; lower --batch-size (raising --gradient-accumulation-steps keeps the step as it is) or --seq-len"
            .formatted(device, size(asked), size(free), size(total)));
  }

  /** No image holds the kernel. {@code tried} are the families that were looked for. */
  static CudaException noImage(String kernel, String tried, boolean emulated) {
    return new CudaException(
        0,
        "no image with kernel %s (looked for %s): this build has %s; build again where %s is found"
            .formatted(
                kernel,
                tried,
                emulated ? "none for the emulated device" : "none for a GPU",
                emulated ? "g++" : "nvcc 13"));
  }

  /** The driver does not take an image: it is too old for it, or the image is for other cards. */
  static CudaException imageRefused(
      int code, String named, String family, int capability, int driverVersion) {
    String reason =
        driverVersion < OLDEST_DRIVER
            ? "the driver speaks CUDA %s and is too old for kernels built with CUDA 13: install driver r580 or later"
                .formatted(version(driverVersion))
            : "it holds no code for compute capability %d.%d: build again with nvcc for this card"
                .formatted(capability / 10, capability % 10);
    return new CudaException(
        code, "the image of kernels '" + family + "' was refused: " + named + "; " + reason);
  }

  /** {@code 13.0} for 13000. */
  static String version(int v) {
    return v / 1000 + "." + v % 1000 / 10;
  }

  /** {@code 1.50 GiB}. */
  static String size(long bytes) {
    return bytes < 1 << 20
        ? bytes + " bytes"
        : bytes < 1 << 30
            ? String.format(Locale.ROOT, "%.2f MiB", bytes / 0x1p20)
            : String.format(Locale.ROOT, "%.2f GiB", bytes / 0x1p30);
  }
}
