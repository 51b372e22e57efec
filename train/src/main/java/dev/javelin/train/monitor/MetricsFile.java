package dev.javelin.train.monitor;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.io.FileCalls;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonRules;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * {@code metrics.jsonl}: one object per logged step, each line handed to the system when written. A
 * line that cannot be read is passed over and stays in the file.
 */
public final class MetricsFile implements Watcher {
  static final int LONGEST_LINE = 1 << 16;
  static final JsonRules RULES =
      JsonRules.LINE.withMaxBytes(LONGEST_LINE).withMaxDepth(8).withMaxValues(1 << 12);

  private static final byte[] NEWLINE = {'\n'};
  private static final byte[] NOTHING = {};

  private final OutputStream out;

  private MetricsFile(OutputStream out) {
    this.out = out;
  }

  /**
   * Opens the file for a run that has done {@code step} steps: lines of later steps, which a run
   * that was cut off may have left, are removed, and so is a line cut short. A link of that name is
   * replaced by a file.
   *
   * @throws IOException where it cannot be written
   */
  public static MetricsFile open(Path file, long step) throws IOException {
    if (Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
      if (!Files.isSymbolicLink(file) && !Files.isRegularFile(file)) {
        throw new IOException("it is no regular file");
      }
      AtomicFile.write(file, to -> copyUntil(step, file, to));
    }
    return new MetricsFile(FileCalls.current().append(file));
  }

  private static void copyUntil(long step, Path file, WritableByteChannel to) throws IOException {
    boolean[] keeping = {true};
    lines(
        file,
        (bytes, ended) -> {
          StepMetrics metrics = parse(file, bytes);
          if (metrics != null) {
            keeping[0] = metrics.step() <= step;
          }
          if (keeping[0] && (ended || metrics != null)) {
            write(to, bytes);
            write(to, ended ? NOTHING : NEWLINE);
          }
        });
  }

  private static void write(WritableByteChannel to, byte[] bytes) throws IOException {
    ByteBuffer rest = ByteBuffer.wrap(bytes);
    while (rest.hasRemaining()) {
      to.write(rest);
    }
  }

  /** All lines that can be read, in order; none where there is no file. */
  public static List<StepMetrics> read(Path file) throws IOException {
    List<StepMetrics> all = new ArrayList<>();
    lines(
        file,
        (bytes, ended) -> {
          StepMetrics metrics = parse(file, bytes);
          if (metrics != null) {
            all.add(metrics);
          }
        });
    return all;
  }

  private static @Nullable StepMetrics parse(Path file, byte[] line) {
    try {
      return StepMetrics.of(Json.parse(file, "", line, 0, line.length, RULES));
    } catch (FileFormatException damaged) {
      return null;
    }
  }

  interface Lines {
    /**
     * @param bytes with the newline at their end
     * @param ended whether the newline is there; the last line may be cut short
     */
    void line(byte[] bytes, boolean ended) throws IOException;
  }

  /** Hands over all lines; one that is too long for ours comes in pieces. */
  static void lines(Path file, Lines to) throws IOException {
    if (!Files.isRegularFile(file)) {
      return;
    }
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    byte[] chunk = new byte[LONGEST_LINE];
    try (InputStream in = Files.newInputStream(file)) {
      for (int n = in.read(chunk); n >= 0; n = in.read(chunk)) {
        int from = 0;
        for (int i = 0; i < n; i++) {
          boolean ended = chunk[i] == '\n';
          if (ended || line.size() + i + 1 - from == LONGEST_LINE) {
            line.write(chunk, from, i + 1 - from);
            from = i + 1;
            to.line(line.toByteArray(), true);
            line.reset();
          }
        }
        line.write(chunk, from, n - from);
      }
    }
    if (line.size() > 0) {
      to.line(line.toByteArray(), false);
    }
  }

  @Override
  public void logged(StepMetrics metrics) {
    try {
      out.write((metrics.json() + "\n").getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException("metrics.jsonl: " + e.getMessage(), e);
    }
  }

  @Override
  public void close() {
    try {
      out.close();
    } catch (IOException e) {
      throw new UncheckedIOException("metrics.jsonl: " + e.getMessage(), e);
    }
  }
}
