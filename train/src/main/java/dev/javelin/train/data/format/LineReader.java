package dev.javelin.train.data.format;

import dev.javelin.tensor.io.FileFormatException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * The lines of a UTF-8 file as bytes. A line ends with {@code \n}, {@code \r\n} or {@code \r}; a
 * byte order mark at the beginning of the file is left out.
 */
final class LineReader implements AutoCloseable {
  private static final int BUFFER = 1 << 14;

  /** About as much as an array can hold. */
  private static final int LONGEST = Integer.MAX_VALUE - 16;

  private final Path file;
  private final InputStream in;
  private final byte[] buffer = new byte[BUFFER];
  private long bufferStart;
  private int at;
  private int end;
  private byte[] line = new byte[BUFFER];
  private int length;
  private long number;
  private long start;

  LineReader(Path file) throws IOException {
    this.file = file;
    this.in = Packing.open(file);
    try {
      end = in.readNBytes(buffer, 0, BUFFER);
      at = Head.skip(file, ByteBuffer.wrap(buffer, 0, end));
    } catch (IOException | RuntimeException e) {
      in.close();
      throw e;
    }
  }

  /** Goes to the next line; false where there is none. */
  boolean next() throws IOException {
    length = 0;
    if (!more()) {
      return false;
    }
    number++;
    start = bufferStart + at;
    if (line.length > BUFFER) {
      line = new byte[BUFFER]; // one long line is not paid for to the end of the file
    }
    while (more()) {
      int from = at;
      while (at < end && buffer[at] != '\n' && buffer[at] != '\r') {
        at++;
      }
      append(from);
      if (at < end) {
        boolean carriageReturn = buffer[at++] == '\r';
        if (carriageReturn && more() && buffer[at] == '\n') {
          at++;
        }
        return true;
      }
    }
    return true;
  }

  private boolean more() throws IOException {
    if (at == end) {
      at = 0;
      bufferStart += end;
      end = Math.max(0, in.read(buffer, 0, BUFFER));
    }
    return at < end;
  }

  private void append(int from) {
    int count = at - from;
    if (length > LONGEST - count) {
      throw new FileFormatException(
          file, "line " + number + " is longer than 2 GB", "cut the document into several");
    }
    if (length + count > line.length) {
      line = Arrays.copyOf(line, (int) Math.min(LONGEST, 2L * (length + count)));
    }
    System.arraycopy(buffer, from, line, length, count);
    length += count;
  }

  /** Of the line, from 1. */
  long number() {
    return number;
  }

  /** The line without its end, {@link #length} bytes of it; good until {@link #next}. */
  byte[] line() {
    return line;
  }

  int length() {
    return length;
  }

  /** Refuses a line that is not UTF-8, with the position of the byte in the file. */
  void requireUtf8() {
    requireUtf8(file, line, length, start);
  }

  /** The same for bytes that stand anywhere. */
  static void requireUtf8(Path file, byte[] line, int length, long start) {
    ByteBuffer bytes = ByteBuffer.wrap(line, 0, length);
    CharBuffer chars = CharBuffer.allocate(1 << 13);
    CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder();
    CoderResult result;
    do {
      result = decoder.decode(bytes, chars.clear(), true);
    } while (result.isOverflow());
    if (result.isError()) {
      int wrong = bytes.position();
      throw Head.notUtf8(file, line[wrong], start + wrong);
    }
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
