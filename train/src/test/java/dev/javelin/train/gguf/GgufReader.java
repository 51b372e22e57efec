package dev.javelin.train.gguf;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Reads GGUF from its specification, knowing nothing of what wrote it. */
final class GgufReader {
  final Map<String, Object> keys = new LinkedHashMap<>();
  final Map<String, Tensor> tensors = new LinkedHashMap<>();

  /**
   * A tensor.
   *
   * @param dims the outermost first
   */
  record Tensor(long[] dims, int type, float[] values) {}

  private record Place(long[] dims, int type, long offset) {}

  private final ByteBuffer in;

  GgufReader(Path file) throws IOException {
    in = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    byte[] magic = new byte[4];
    in.get(magic);
    assertThat(new String(magic, StandardCharsets.US_ASCII)).isEqualTo("GGUF");
    assertThat(in.getInt()).isEqualTo(3);
    long tensorCount = in.getLong();
    long keyCount = in.getLong();
    for (long i = 0; i < keyCount; i++) {
      String key = string();
      assertThat(keys.put(key, value(in.getInt()))).as(key).isNull();
    }
    Map<String, Place> places = new LinkedHashMap<>();
    for (long i = 0; i < tensorCount; i++) {
      String name = string();
      long[] dims = new long[in.getInt()];
      for (int d = dims.length - 1; d >= 0; d--) {
        dims[d] = in.getLong();
      }
      assertThat(places.put(name, new Place(dims, in.getInt(), in.getLong()))).isNull();
    }
    int data = Math.ceilDiv(in.position(), 32) * 32;
    long end = data;
    for (Map.Entry<String, Place> p : places.entrySet()) {
      assertThat(p.getValue().offset() % 32).isZero();
      in.position((int) (data + p.getValue().offset()));
      long count = 1;
      for (long d : p.getValue().dims()) {
        count *= d;
      }
      float[] values = values(p.getValue().type(), (int) count);
      tensors.put(p.getKey(), new Tensor(p.getValue().dims(), p.getValue().type(), values));
      end = Math.max(end, in.position());
    }
    assertThat((long) in.limit()).as("bytes").isBetween(end, end + 31);
  }

  Tensor tensor(String name) {
    return Objects.requireNonNull(tensors.get(name), name);
  }

  List<?> list(String key) {
    return (List<?>) Objects.requireNonNull(keys.get(key), key);
  }

  private String string() {
    byte[] utf8 = new byte[(int) in.getLong()];
    in.get(utf8);
    return new String(utf8, StandardCharsets.UTF_8);
  }

  private Object value(int type) {
    return switch (type) {
      case 4, 5 -> in.getInt();
      case 6 -> in.getFloat();
      case 7 -> in.get() != 0;
      case 8 -> string();
      case 9 -> {
        int of = in.getInt();
        long count = in.getLong();
        List<Object> list = new ArrayList<>();
        for (long i = 0; i < count; i++) {
          list.add(value(of));
        }
        yield list;
      }
      default -> throw new AssertionError("type " + type);
    };
  }

  private float[] values(int type, int count) {
    float[] out = new float[count];
    for (int i = 0; i < count; i++) {
      switch (type) {
        case 0 -> out[i] = in.getFloat();
        case 1 -> out[i] = Float.float16ToFloat(in.getShort());
        case 30 -> out[i] = Float.intBitsToFloat(in.getShort() << 16);
        case 8 -> {
          float scale = Float.float16ToFloat(in.getShort());
          for (int j = 0; j < 32; j++) {
            out[i + j] = scale * in.get();
          }
          i += 31;
        }
        default -> throw new AssertionError("tensor type " + type);
      }
    }
    return out;
  }
}
