package dev.javelin.train.data.format;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A JSON array of objects, read one object at a time. UTF-8; a byte order mark may stand at its
 * beginning. A {@code .json} file that begins otherwise is of another kind.
 */
final class JsonArray implements DataFormat {
  private static final int LONGEST = Integer.MAX_VALUE - 16;
  private static final String REMEDY = "write an array of objects, or one object a line (.jsonl)";

  @Override
  public List<String> suffixes() {
    return List.of(".json");
  }

  @Override
  public boolean reads(Path file) {
    return DataFormat.super.reads(file) && JsonHead.of(file) == JsonHead.ARRAY;
  }

  @Override
  public boolean oneDocument() {
    return false;
  }

  @Override
  public Documents open(Path file) throws IOException {
    return new Objects(file);
  }

  private static final class Objects implements Documents {
    private final Path file;
    private final InputStream in;
    private byte[] object = new byte[1 << 12];
    private int length;
    private long number;
    private boolean begun;
    private boolean ended;

    Objects(Path file) throws IOException {
      this.file = file;
      this.in = new BufferedInputStream(Packing.open(file), 1 << 16);
      try {
        in.mark(4);
        byte[] first = in.readNBytes(4);
        in.reset();
        in.skipNBytes(Head.skip(file, ByteBuffer.wrap(first)));
      } catch (IOException | RuntimeException e) {
        in.close();
        throw e;
      }
    }

    private String place() {
      return "object " + number;
    }

    private FileFormatException wrong(String what) {
      return new FileFormatException(file, what, REMEDY);
    }

    @Override
    public @Nullable Document next() throws IOException {
      if (ended) {
        return null;
      }
      if (!begun && next(false) != '[') {
        throw wrong("is no JSON array");
      }
      int c = next(true);
      if (begun && c == ',') {
        c = next(true);
      } else if (c == ']') {
        ended = true;
        if (next(false) >= 0) {
          throw wrong("goes on behind the end of its array");
        }
        return null;
      } else if (begun) {
        throw wrong("has no comma behind " + place());
      }
      begun = true;
      number++;
      if (c != '{') {
        throw wrong("holds something else than an object as " + place());
      }
      readObject();
      try {
        return new Document(
            file, place(), Json.parse(file, place(), object, 0, length, JsonLines.RULES).members());
      } catch (FileFormatException e) {
        LineReader.requireUtf8(file, object, length, -1); // the better reason, where it is one
        throw e;
      }
    }

    /** The next byte that is no white space, -1 at the end of the file. */
    private int next(boolean wanted) throws IOException {
      int c = in.read();
      while (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        c = in.read();
      }
      if (wanted && c < 0) {
        throw wrong("ends within its array: behind " + place());
      }
      return c;
    }

    /** Reads up to the brace that closes the one just read. */
    private void readObject() throws IOException {
      object = object.length > 1 << 16 ? new byte[1 << 12] : object;
      length = 0;
      append('{');
      int depth = 1;
      boolean quoted = false;
      while (depth > 0) {
        int c = in.read();
        if (c < 0) {
          throw wrong("ends within " + place());
        }
        append(c);
        if (quoted && c == '\\') {
          append(Math.max(0, in.read()));
        } else if (c == '"') {
          quoted = !quoted;
        } else if (!quoted) {
          depth += c == '{' ? 1 : c == '}' ? -1 : 0;
        }
      }
    }

    private void append(int c) {
      if (length == object.length) {
        if (length == LONGEST) {
          throw new FileFormatException(
              file, place() + " is longer than 2 GB", "cut the document into several");
        }
        object = Arrays.copyOf(object, (int) Math.min(LONGEST, 2L * length));
      }
      object[length++] = (byte) c;
    }

    @Override
    public void close() throws IOException {
      in.close();
    }
  }
}
