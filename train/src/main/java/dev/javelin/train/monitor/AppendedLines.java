package dev.javelin.train.monitor;

import dev.javelin.tensor.io.FileCalls;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import java.io.IOException;
import java.io.OutputStream;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/**
 * A file of JSON lines that only grows, across resumes too; each line is handed to the system when
 * written. A line that a process left half written stays, and is passed over by readers.
 */
final class AppendedLines implements AutoCloseable {
  private final String name;
  private final OutputStream out;

  /**
   * @throws IOException where the file cannot be written, or is a link
   */
  AppendedLines(Path file) throws IOException {
    this.name = String.valueOf(file.getFileName());
    boolean torn = isTorn(file);
    this.out = FileCalls.current().append(file);
    if (torn) {
      out.write('\n');
    }
  }

  private static boolean isTorn(Path file) throws IOException {
    if (!Files.isRegularFile(file) || Files.size(file) == 0) {
      return false;
    }
    try (RandomAccessFile bytes = new RandomAccessFile(file.toFile(), "r")) {
      bytes.seek(bytes.length() - 1);
      return bytes.read() != '\n';
    }
  }

  void write(String json) {
    try {
      out.write((json + "\n").getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(name + ": " + e.getMessage(), e);
    }
  }

  /** All lines that {@code of} can read, in order; none where there is no file. */
  static <T> List<T> read(Path file, Function<JsonObject, T> of) throws IOException {
    List<T> all = new ArrayList<>();
    MetricsFile.lines(
        file,
        (bytes, ended) -> {
          try {
            all.add(of.apply(Json.parse(file, "", bytes, 0, bytes.length, MetricsFile.RULES)));
          } catch (FileFormatException damaged) {
            // It stays in the file.
          }
        });
    return all;
  }

  @Override
  public void close() {
    try {
      out.close();
    } catch (IOException e) {
      throw new UncheckedIOException(name + ": " + e.getMessage(), e);
    }
  }
}
