package dev.javelin.train.gguf;

import java.nio.ByteBuffer;
import java.util.Locale;

/** How a GGUF file holds the numbers of a tensor. */
public enum GgufType {
  F32(0, 0, 1, 4),
  F16(1, 1, 1, 2),
  /**
   * Blocks of 32: an fp16 scale {@code d = max|x| / 127}, then 32 signed bytes {@code round(x /
   * d)}, half away from zero.
   */
  Q8_0(8, 7, 32, 34),
  BF16(30, 32, 1, 2);

  /** In the tensor table. */
  final int code;

  /** {@code general.file_type} of a file whose matrices have this type. */
  final int fileType;

  /** Numbers that are held together; a row is a whole number of them. */
  final int block;

  private final int blockBytes;

  GgufType(int code, int fileType, int block, int blockBytes) {
    this.code = code;
    this.fileType = fileType;
    this.block = block;
    this.blockBytes = blockBytes;
  }

  /** As users write it: {@code f32}, {@code q8_0}. */
  public String text() {
    return name().toLowerCase(Locale.ROOT);
  }

  long bytes(long elements) {
    return elements / block * blockBytes;
  }

  /** Appends a row, little-endian. */
  void put(float[] row, ByteBuffer out) {
    switch (this) {
      case F32 -> {
        for (float x : row) {
          out.putFloat(x);
        }
      }
      case F16 -> {
        for (float x : row) {
          out.putShort(Float.floatToFloat16(x));
        }
      }
      case BF16 -> {
        for (float x : row) {
          int bits = Float.floatToRawIntBits(x);
          out.putShort((short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16)); // to nearest even
        }
      }
      case Q8_0 -> {
        for (int at = 0; at < row.length; at += block) {
          putBlock(row, at, out);
        }
      }
    }
  }

  private static void putBlock(float[] row, int at, ByteBuffer out) {
    float most = 0;
    for (int i = 0; i < Q8_0.block; i++) {
      most = Math.max(most, Math.abs(row[at + i]));
    }
    float scale = most / 127;
    float inverse = scale == 0 ? 0 : 1 / scale;
    out.putShort(Float.floatToFloat16(scale));
    for (int i = 0; i < Q8_0.block; i++) {
      float q = row[at + i] * inverse;
      out.put((byte) (q < 0 ? -(int) (-q + 0.5f) : (int) (q + 0.5f)));
    }
  }
}
