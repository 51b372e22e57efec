package dev.javelin.train.data.format;

import dev.javelin.tensor.io.FileFormatException;
import java.nio.ByteBuffer;
import java.nio.file.Path;

/** How files begin that say what they are; the longer of two that begin alike stands first. */
enum Head {
  UTF_32_LE("fffe0000", "is UTF-32", "convert it with iconv -f UTF-32 -t UTF-8"),
  UTF_32_BE("0000feff", "is UTF-32", "convert it with iconv -f UTF-32 -t UTF-8"),
  UTF_16_LE("fffe", "is UTF-16", "convert it with iconv -f UTF-16 -t UTF-8"),
  UTF_16_BE("feff", "is UTF-16", "convert it with iconv -f UTF-16 -t UTF-8"),
  GZIP("1f8b", "is compressed by gzip", "unpack it with gunzip, or let its name end with .gz"),
  ZSTD("28b52ffd", "is compressed by zstd", "unpack it with unzstd, or let its name end with .zst"),
  UTF_8("efbbbf", "", "");

  private final String hex;
  private final String what;
  private final String remedy;

  Head(String hex, String what, String remedy) {
    this.hex = hex;
    this.what = what;
    this.remedy = remedy;
  }

  /**
   * How many bytes a UTF-8 byte order mark takes at the beginning of {@code file}: 3 or 0.
   *
   * @param first the first bytes, at least four unless there are fewer
   * @throws FileFormatException for a file of another encoding
   */
  static int skip(Path file, ByteBuffer first) {
    for (Head head : values()) {
      if (head.begins(first)) {
        if (head != UTF_8) {
          throw new FileFormatException(file, head.what, head.remedy);
        }
        return head.hex.length() / 2;
      }
    }
    int at = first.position();
    if (first.remaining() >= 2 && (first.get(at) == 0) != (first.get(at + 1) == 0)) {
      throw new FileFormatException(
          file,
          "is UTF-16 without a byte order mark, or not text: one of its first two bytes is zero",
          first.get(at) == 0
              ? "convert it with iconv -f UTF-16BE -t UTF-8"
              : "convert it with iconv -f UTF-16LE -t UTF-8");
    }
    return 0;
  }

  /** Whether {@code bytes} begin so. */
  boolean begins(ByteBuffer first) {
    for (int i = 0; i < hex.length() / 2; i++) {
      int wanted = Integer.parseInt(hex, 2 * i, 2 * i + 2, 16);
      if (i >= first.remaining() || (first.get(first.position() + i) & 0xFF) != wanted) {
        return false;
      }
    }
    return true;
  }

  /** For a byte that is not UTF-8 and begins no character that is whole. */
  static FileFormatException notUtf8(Path file, byte wrong, long position) {
    return new FileFormatException(
        file,
        "is not UTF-8: byte 0x%02X at position %d".formatted(wrong, position),
        "convert it, for instance with iconv -f WINDOWS-1252 -t UTF-8");
  }
}
