package dev.javelin.cli;

import com.sun.management.OperatingSystemMXBean;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.kernels.cpu.Bf16Products;
import dev.javelin.kernels.cpu.MatmulCpu;
import dev.javelin.kernels.cpu.VectorWidth;
import java.io.IOException;
import java.io.PrintWriter;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** Says what this machine offers, what is missing, and what to do about it. */
@Command(
    name = "doctor",
    mixinStandardHelpOptions = true,
    description =
        "Reports what this machine offers for training, what is missing, and how to fix it.")
final class DoctorCommand implements Callable<Integer> {
  private static final Path HUGE_PAGES = Path.of("/sys/kernel/mm/transparent_hugepage/enabled");
  private static final int FAST_VECTOR_BITS = 256;
  private static final double GB = 1e9;

  @Spec private @Nullable CommandSpec spec;

  @Override
  public Integer call() {
    PrintWriter out = Main.out(spec);
    line(out, "Java", Runtime.version() + ", " + System.getProperty("java.vendor"));
    String known = knownBug(Runtime.version());
    if (known != null) {
      line(out, "  warning", known);
    }
    line(out, "System", System.getProperty("os.name") + ", " + System.getProperty("os.arch"));
    line(out, "Processor", processor());
    boolean vectors = vectors(out);
    line(out, "Memory", memory());
    line(out, "2 MB pages", hugePages());
    String gpu = new CudaCheckup(new BundledKernels(), (name, text) -> line(out, name, text)).run();
    line(out, "Verdict", vectors ? "ready to train on the CPU" + gpu : "cannot train: see above");
    out.flush();
    return vectors ? Main.OK : Main.FAILURE;
  }

  private static boolean vectors(PrintWriter out) {
    if (ModuleLayer.boot().findModule("jdk.incubator.vector").isEmpty()) {
      line(out, "Vector API", "missing: start java with --add-modules jdk.incubator.vector");
      return false;
    }
    int bits = VectorWidth.bits();
    line(
        out,
        "Vector API",
        bits
            + " bits"
            + (bits < FAST_VECTOR_BITS ? "; slow: the processor offers no wider ones" : ""));
    line(out, "bf16", "products by " + Bf16Products.description());
    line(out, "few rows", "products by " + MatmulCpu.fewRows());
    line(out, "int8", "products by " + MatmulCpu.int8());
    return true;
  }

  /** A bug of this Java that matters to us; {@code null} where there is none. */
  static @Nullable String knownBug(Runtime.Version java) {
    boolean g1Corruption = java.feature() == 25 && java.interim() == 0 && java.update() < 3;
    return g1Corruption
        ? "25.0.0 to 25.0.2 can corrupt pinned heap objects under G1 (JDK-8377811): use 25.0.3 or later"
        : null;
  }

  private static String processor() {
    int cores = Runtime.getRuntime().availableProcessors();
    String threads = cores + (cores == 1 ? " thread" : " threads");
    try (var lines = Files.lines(Path.of("/proc/cpuinfo"))) {
      return lines
          .filter(l -> l.startsWith("model name"))
          .findFirst()
          .map(l -> l.replaceFirst("[^:]*:\\s*", "") + ", " + threads)
          .orElse(threads);
    } catch (IOException notLinux) {
      return threads;
    }
  }

  private static String memory() {
    if (ManagementFactory.getOperatingSystemMXBean() instanceof OperatingSystemMXBean system) {
      return String.format(
          Locale.ROOT,
          "%.1f GB, %.1f GB free; Java heap up to %.1f GB (weights and activations are outside it)",
          system.getTotalMemorySize() / GB,
          system.getFreeMemorySize() / GB,
          Runtime.getRuntime().maxMemory() / GB);
    }
    return "unknown";
  }

  private static String hugePages() {
    if (!Files.isReadable(HUGE_PAGES)) {
      return "not known on this system";
    }
    try {
      String setting = Files.readString(HUGE_PAGES).strip();
      return setting.contains("[never]")
          ? "off: large models run faster after  echo madvise | sudo tee " + HUGE_PAGES
          : "on " + setting;
    } catch (IOException e) {
      return "not readable: " + e.getMessage();
    }
  }

  private static void line(PrintWriter out, String name, String text) {
    out.printf("%-11s %s%n", name, text);
  }
}
