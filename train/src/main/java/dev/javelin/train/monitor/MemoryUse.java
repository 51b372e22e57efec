package dev.javelin.train.monitor;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.Device;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.ObjDoubleConsumer;

/**
 * The memory of the process, in bytes: {@code memory_rss} as the system counts it (Linux), {@code
 * memory_heap} of Java objects, garbage included, and {@code memory_device}: on the CPU what the
 * device has taken at most, on a GPU what is in use now, by other processes too.
 */
public final class MemoryUse {
  private static final Path STATM = Path.of("/proc/self/statm");
  private static final long PAGE_BYTES = 4096;

  private MemoryUse() {}

  /** Hands over what can be told. */
  public static void measure(Device device, ObjDoubleConsumer<String> out) {
    long resident = residentBytes();
    if (resident > 0) {
      out.accept("memory_rss", resident);
    }
    Runtime java = Runtime.getRuntime();
    out.accept("memory_heap", java.totalMemory() - java.freeMemory());
    switch (device) {
      case Cpu cpu -> out.accept("memory_device", cpu.peakBytes());
      case Cuda cuda -> {
        Cuda.MemoryInfo info = cuda.memoryInfo();
        out.accept("memory_device", info.total() - info.free());
      }
    }
  }

  /** The second number of {@code statm}, in pages of 4 KiB; 0 where there is no such file. */
  private static long residentBytes() {
    try {
      String[] pages = Files.readString(STATM, StandardCharsets.US_ASCII).split(" ", 3);
      return pages.length < 2 ? 0 : Long.parseLong(pages[1]) * PAGE_BYTES;
    } catch (IOException | NumberFormatException notLinux) {
      return 0;
    }
  }
}
