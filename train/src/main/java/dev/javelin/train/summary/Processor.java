package dev.javelin.train.summary;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** The processor that this runs on. */
public final class Processor {
  private Processor() {}

  /** As the system calls it, where it does, and its threads. */
  public static String name() {
    String threads = Runtime.getRuntime().availableProcessors() + " threads";
    try (Stream<String> lines = Files.lines(Path.of("/proc/cpuinfo"))) {
      return lines
          .filter(line -> line.startsWith("model name"))
          .findFirst()
          .map(line -> line.replaceFirst("[^:]*:\\s*", "") + ", " + threads)
          .orElse(threads);
    } catch (IOException | UncheckedIOException e) {
      return threads;
    }
  }
}
