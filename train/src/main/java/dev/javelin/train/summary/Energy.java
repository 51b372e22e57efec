package dev.javelin.train.summary;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Counters of the energy that the processors have taken (RAPL), as Linux shows them: a folder for
 * each package with {@code energy_uj}, microjoules up to {@code max_energy_range_uj} and from 0
 * again. Everything that runs on the machine is in them.
 *
 * @see <a href="https://docs.kernel.org/power/powercap/powercap.html">the power capping
 *     framework</a>
 */
public final class Energy {
  private static final Path RAPL = Path.of("/sys/class/powercap");

  private final Map<Path, Long> before = new LinkedHashMap<>();
  private long counted; // microjoules up to the last question

  private Energy(Path root) {
    for (Path zone : packages(root)) {
      Long now = number(zone.resolve("energy_uj"));
      if (now != null) {
        before.put(zone, now);
      }
    }
  }

  /** Begins to count. */
  public static Energy begin() {
    return new Energy(RAPL);
  }

  static Energy begin(Path root) {
    return new Energy(root);
  }

  /**
   * Joules since the beginning, of all processor packages. A counter that went round is counted
   * once round: on a long run {@link #joules} must be asked more often than that, every few
   * minutes.
   *
   * @return {@code null} where the system does not tell
   */
  public @Nullable Double joules() {
    if (before.isEmpty()) {
      return null;
    }
    long micro = 0;
    for (Map.Entry<Path, Long> zone : before.entrySet()) {
      Long now = number(zone.getKey().resolve("energy_uj"));
      if (now == null) {
        return null;
      }
      Long range = number(zone.getKey().resolve("max_energy_range_uj"));
      long passed = now - zone.getValue();
      micro += passed >= 0 ? passed : passed + (range == null ? 0 : range);
      zone.setValue(now);
    }
    counted += micro;
    return counted * 1e-6;
  }

  /** Packages, not their parts: {@code intel-rapl:0}, also on AMD's processors. */
  private static List<Path> packages(Path root) {
    List<Path> packages = new ArrayList<>();
    if (Files.isDirectory(root)) {
      try (Stream<Path> zones = Files.list(root)) {
        zones
            .filter(zone -> zone.getFileName().toString().matches("intel-rapl:\\d+"))
            .sorted()
            .forEach(packages::add);
      } catch (IOException | UncheckedIOException e) {
        packages.clear(); // it does not tell
      }
    }
    return packages;
  }

  /** {@code null} where it cannot be read: on most systems root alone may. */
  private static @Nullable Long number(Path file) {
    try {
      return Long.valueOf(Files.readString(file).strip());
    } catch (IOException | NumberFormatException e) {
      return null;
    }
  }
}
