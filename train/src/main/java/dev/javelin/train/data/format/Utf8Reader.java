package dev.javelin.train.data.format;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/**
 * The characters of a UTF-8 file, one by one. Nothing is replaced: a byte that is not UTF-8 ends
 * the reading with its position. A UTF-8 byte order mark at the beginning is left out; those of
 * other encodings are refused by name.
 */
final class Utf8Reader implements AutoCloseable {
  /** More characters do not fit into a String. */
  static final int LONGEST = Integer.MAX_VALUE - 16;

  private static final int BUFFER = 1 << 14;

  private final Path file;
  private final InputStream in;
  private final CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder();
  private final ByteBuffer bytes = ByteBuffer.allocate(BUFFER).limit(0);
  private final CharBuffer chars = CharBuffer.allocate(BUFFER).limit(0);

  /** Where {@code bytes} begins in the file. */
  private long start;

  private final int begin;
  private boolean atEnd;

  Utf8Reader(Path file) throws IOException {
    this.file = file;
    this.in = Packing.open(file);
    try {
      fill();
      begin = Head.skip(file, bytes);
      bytes.position(begin);
    } catch (IOException | RuntimeException e) {
      in.close();
      throw e;
    }
  }

  /** Makes {@code bytes} as full as the file allows. */
  private void fill() throws IOException {
    start += bytes.position();
    bytes.compact();
    while (bytes.hasRemaining() && !atEnd) {
      int count = in.read(bytes.array(), bytes.position(), bytes.remaining());
      atEnd = count < 0;
      bytes.position(bytes.position() + Math.max(0, count));
    }
    bytes.flip();
  }

  /** Makes the next characters ready; false at the end of the file. */
  private boolean more() throws IOException {
    while (!chars.hasRemaining()) {
      fill();
      chars.clear();
      CoderResult result = decoder.decode(bytes, chars, atEnd);
      chars.flip();
      if (result.isError()) {
        int at = bytes.position();
        throw Head.notUtf8(file, bytes.get(at), start + at);
      }
      if (atEnd && !bytes.hasRemaining() && !chars.hasRemaining()) {
        return false;
      }
    }
    return true;
  }

  /** The next UTF-16 code unit, -1 at the end. */
  int read() throws IOException {
    return more() ? chars.get() : -1;
  }

  /** What {@link #read} will return. */
  int peek() throws IOException {
    return more() ? chars.get(chars.position()) : -1;
  }

  /** Where the text begins: behind a byte order mark. */
  int begin() {
    return begin;
  }

  /** Reads to the end, for the sake of what is wrong on the way. */
  void skipAll() throws IOException {
    while (more()) {
      chars.position(chars.limit());
    }
  }

  /** Passes over one line end; false where none stands here. */
  boolean lineEnd() throws IOException {
    int c = peek();
    if (c != '\n' && c != '\r') {
      return false;
    }
    read();
    if (c == '\r' && peek() == '\n') {
      read();
    }
    return true;
  }

  @Override
  public void close() throws IOException {
    in.close();
  }
}
