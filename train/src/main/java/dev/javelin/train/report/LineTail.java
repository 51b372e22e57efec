package dev.javelin.train.report;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.io.JsonRules;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.function.Consumer;

/**
 * A file of JSON lines that grows, read from where it was read up to. A line that is no object, or
 * longer than {@value #LONGEST} bytes, is passed over; one whose end is not there yet waits for it.
 */
final class LineTail {
  private static final int LONGEST = 1 << 20;
  private static final int CHUNK = 1 << 16;
  private static final JsonRules RULES =
      JsonRules.LINE.withMaxBytes(LONGEST).withMaxDepth(8).withMaxValues(1 << 16);

  private final Path file;
  private long offset;
  private byte[] line = new byte[CHUNK];
  private int length; // of what is there of the line
  private boolean passing; // over a line that is too long

  LineTail(Path file) {
    this.file = file;
  }

  /** Whether the file is shorter than what was read of it: another has taken its place. */
  boolean isReplaced() throws IOException {
    return offset > 0 && (!Files.isRegularFile(file) || Files.size(file) < offset);
  }

  /** Hands over the objects of the lines that have come since the last call. */
  void read(Consumer<JsonObject> to) throws IOException {
    if (!Files.isRegularFile(file)) {
      return;
    }
    byte[] chunk = new byte[CHUNK];
    try (RandomAccessFile in = new RandomAccessFile(file.toFile(), "r")) { // deaf to interrupts
      in.seek(offset);
      for (int n = in.read(chunk); n > 0; n = in.read(chunk)) {
        offset += n;
        take(chunk, n, to);
      }
    }
  }

  private void take(byte[] bytes, int count, Consumer<JsonObject> to) {
    int from = 0;
    for (int i = 0; i < count; i++) {
      if (bytes[i] == '\n') {
        keep(bytes, from, i);
        hand(to);
        from = i + 1;
      }
    }
    keep(bytes, from, count);
  }

  private void keep(byte[] bytes, int from, int to) {
    passing |= length + to - from > LONGEST;
    if (passing) {
      length = 0;
      return;
    }
    if (length + to - from > line.length) {
      line = Arrays.copyOf(line, Math.min(LONGEST, 2 * (length + to - from)));
    }
    System.arraycopy(bytes, from, line, length, to - from);
    length += to - from;
  }

  private void hand(Consumer<JsonObject> to) {
    if (!passing && length > 0) {
      try {
        to.accept(Json.parse(file, "", line, 0, length, RULES));
      } catch (FileFormatException damaged) {
        // What cannot be read stays in the file.
      }
    }
    length = 0;
    passing = false;
  }
}
