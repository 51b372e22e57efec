package dev.javelin.train.estimate;

import com.sun.management.OperatingSystemMXBean;
import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.Device;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * The memory that a run may take: with the processor one budget for heap and tensors, with a GPU
 * what lies there.
 *
 * @param from whose it is
 */
public record Budget(long bytes, String from) {
  private static final Path MACHINE = Path.of("/proc/meminfo");

  /**
   * What is given, or else what there is.
   *
   * @param given in bytes; {@code null} for what the device has
   */
  public static Budget of(@Nullable Long given, Device device) {
    if (given != null) {
      return new Budget(given, "--memory");
    }
    return switch (device) {
      case Cpu _ -> ofMachine();
      case Cuda cuda -> new Budget(cuda.memoryInfo().free(), "what is free on " + cuda);
    };
  }

  /** The memory of this machine, or of the container that the process runs in. */
  public static Budget ofMachine() {
    var system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    long bytes = system.getTotalMemorySize(); // knows of control groups
    return new Budget(bytes, bytes < machine() ? "this container" : "this machine");
  }

  private static long machine() {
    try {
      for (String line : Files.readAllLines(MACHINE)) {
        if (line.startsWith("MemTotal:")) {
          return 1024 * Long.parseLong(line.replaceAll("\\D", ""));
        }
      }
    } catch (IOException | NumberFormatException e) {
      // another system
    }
    return 0;
  }

  @Override
  public String toString() {
    return MemoryTable.size(bytes) + " (" + from + ")";
  }
}
