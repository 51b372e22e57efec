package dev.javelin.train.gguf;

import dev.javelin.tensor.io.AtomicFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A GGUF file, version 3, as it is put together and written: keys with typed values, a table of
 * tensors, their data, each at a multiple of 32 bytes.
 *
 * <pre>
 *   "GGUF" | 3 | tensors u64 | keys u64
 *   key, type u32, value | …
 *   name, rank u32, dims u64 (the innermost first), type u32, offset u64 | …
 *   padding | data | padding | data …
 * </pre>
 *
 * @see <a href="https://github.com/ggml-org/ggml/blob/master/docs/gguf.md">the format</a>
 */
final class GgufFile {
  private static final int MAGIC = 0x46554747;
  private static final int VERSION = 3;
  private static final int ALIGNMENT = 32;

  private static final int UINT32 = 4;
  private static final int INT32 = 5;
  private static final int FLOAT32 = 6;
  private static final int BOOL = 7;
  private static final int STRING = 8;
  private static final int ARRAY = 9;

  private final Map<String, Object> keys = new LinkedHashMap<>();
  private final List<Entry> tensors = new ArrayList<>();

  /** Numbers of a matrix or vector, row by row. */
  @FunctionalInterface
  interface Source {
    /** Fills {@code into} with a row. */
    void read(long row, float[] into);
  }

  private record Entry(
      String name, long rows, int cols, boolean vector, GgufType type, Source source) {
    long bytes() {
      return type.bytes(rows * cols);
    }
  }

  /** A u32. */
  void put(String key, int value) {
    keys.put(key, value);
  }

  void put(String key, float value) {
    keys.put(key, value);
  }

  void put(String key, boolean value) {
    keys.put(key, value);
  }

  void put(String key, String value) {
    keys.put(key, value);
  }

  void put(String key, List<String> value) {
    keys.put(key, value);
  }

  /** An array of i32. */
  void put(String key, int[] value) {
    keys.put(key, value);
  }

  void put(String key, float[] value) {
    keys.put(key, value);
  }

  /** A tensor [rows, cols], or a vector of {@code cols} where {@code vector}. */
  void tensor(String name, long rows, int cols, boolean vector, GgufType type, Source source) {
    tensors.add(new Entry(name, rows, cols, vector, type, source));
  }

  /** Writes the file, which is there whole or not at all. */
  void write(Path file) {
    AtomicFile.write(
        file,
        channel -> {
          ByteBuffer head = head();
          send(channel, head);
          ByteBuffer buffer = null;
          for (Entry t : tensors) {
            float[] row = new float[t.cols];
            int rowBytes = Math.toIntExact(t.type.bytes(t.cols));
            if (buffer == null || buffer.capacity() < rowBytes + ALIGNMENT) {
              buffer = little(Math.max(1 << 20, rowBytes + ALIGNMENT));
            }
            for (long r = 0; r < t.rows; r++) {
              if (buffer.remaining() < rowBytes) {
                send(channel, buffer);
              }
              t.source.read(r, row);
              t.type.put(row, buffer);
            }
            send(channel, buffer);
            buffer.put(new byte[(int) (padded(t.bytes()) - t.bytes())]);
            send(channel, buffer);
          }
        });
  }

  private static void send(WritableByteChannel channel, ByteBuffer buffer) throws IOException {
    buffer.flip();
    while (buffer.hasRemaining()) {
      channel.write(buffer);
    }
    buffer.clear();
  }

  private static ByteBuffer little(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static long padded(long bytes) {
    return Math.ceilDiv(bytes, (long) ALIGNMENT) * ALIGNMENT;
  }

  private ByteBuffer head() {
    Growing out = new Growing();
    out.u32(MAGIC);
    out.u32(VERSION);
    out.u64(tensors.size());
    out.u64(keys.size());
    keys.forEach(
        (key, value) -> {
          out.string(key);
          out.value(value);
        });
    long offset = 0;
    for (Entry t : tensors) {
      out.string(t.name);
      out.u32(t.vector ? 1 : 2);
      out.u64(t.cols);
      if (!t.vector) {
        out.u64(t.rows);
      }
      out.u32(t.type.code);
      out.u64(offset);
      offset += padded(t.bytes());
    }
    out.align();
    return out.bytes;
  }

  /** A little-endian buffer that grows. */
  private static final class Growing {
    private ByteBuffer bytes = little(1 << 16);

    private ByteBuffer room(int count) {
      if (bytes.remaining() < count) {
        ByteBuffer larger = little(Math.max(2 * bytes.capacity(), bytes.position() + count));
        bytes.flip();
        larger.put(bytes);
        bytes = larger;
      }
      return bytes;
    }

    void u32(int value) {
      room(4).putInt(value);
    }

    void u64(long value) {
      room(8).putLong(value);
    }

    void string(String text) {
      byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
      u64(utf8.length);
      room(utf8.length).put(utf8);
    }

    void value(Object value) {
      switch (value) {
        case Integer i -> {
          u32(UINT32);
          u32(i);
        }
        case Float f -> {
          u32(FLOAT32);
          room(4).putFloat(f);
        }
        case Boolean b -> {
          u32(BOOL);
          room(1).put((byte) (b ? 1 : 0));
        }
        case String s -> {
          u32(STRING);
          string(s);
        }
        case int[] array -> {
          array(INT32, array.length);
          for (int i : array) {
            u32(i);
          }
        }
        case float[] array -> {
          array(FLOAT32, array.length);
          for (float f : array) {
            room(4).putFloat(f);
          }
        }
        case List<?> list -> {
          array(STRING, list.size());
          list.forEach(s -> string((String) s));
        }
        default -> throw new IllegalArgumentException("no GGUF type for " + value.getClass());
      }
    }

    private void array(int type, int count) {
      u32(ARRAY);
      u32(type);
      u64(count);
    }

    void align() {
      room(ALIGNMENT).put(new byte[(int) (padded(bytes.position()) - bytes.position())]);
    }
  }
}
