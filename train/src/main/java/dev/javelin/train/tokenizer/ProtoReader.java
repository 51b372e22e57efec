package dev.javelin.train.tokenizer;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/**
 * Reads a message in protocol buffers' wire format, field by field. What does not fit throws {@link
 * IllegalArgumentException}.
 *
 * @see <a href="https://protobuf.dev/programming-guides/encoding/">Encoding</a>
 */
final class ProtoReader {
  private static final int VARINT = 0;
  private static final int FIXED64 = 1;
  private static final int BYTES = 2;
  private static final int FIXED32 = 5;

  private final ByteBuffer in;
  private int wireType;
  private int field;

  ProtoReader(ByteBuffer bytes) {
    in = bytes.slice().order(ByteOrder.LITTLE_ENDIAN);
  }

  /** Goes to the next field and returns its number; 0 at the end. */
  int next() {
    if (!in.hasRemaining()) {
      return 0;
    }
    long tag = varint();
    wireType = (int) tag & 7;
    field = (int) (tag >>> 3);
    if (tag >>> 32 != 0 || field <= 0) {
      throw new IllegalArgumentException("a field has no number");
    }
    return field;
  }

  private void require(int type) {
    if (wireType != type) {
      throw new IllegalArgumentException("field " + field + " is of another type");
    }
  }

  private long varint() {
    long value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (!in.hasRemaining()) {
        break;
      }
      byte b = in.get();
      value |= (long) (b & 0x7F) << shift;
      if (b >= 0) {
        return value;
      }
    }
    throw new IllegalArgumentException("a number is cut off or too long");
  }

  int integer() {
    require(VARINT);
    return (int) varint();
  }

  boolean flag() {
    require(VARINT);
    return varint() != 0;
  }

  float number() {
    require(FIXED32);
    return skip(4).getFloat();
  }

  ByteBuffer bytes() {
    require(BYTES);
    long length = varint();
    return skip(length < 0 ? Long.MAX_VALUE : length);
  }

  String text() {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(bytes()).toString();
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException("field " + field + " is not UTF-8", e);
    }
  }

  private ByteBuffer skip(long length) {
    if (length > in.remaining()) {
      throw new IllegalArgumentException("field " + field + " is cut off");
    }
    ByteBuffer part = in.slice(in.position(), (int) length).order(ByteOrder.LITTLE_ENDIAN);
    in.position(in.position() + (int) length);
    return part;
  }

  /** Passes over a field that is of no use here. */
  void ignore() {
    switch (wireType) {
      case VARINT -> varint();
      case FIXED64 -> skip(8);
      case FIXED32 -> skip(4);
      case BYTES -> bytes();
      default -> throw new IllegalArgumentException("field " + field + " has no type");
    }
  }
}
