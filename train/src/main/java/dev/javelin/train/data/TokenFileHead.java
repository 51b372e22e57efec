package dev.javelin.train.data;

import dev.javelin.tensor.io.FileFormatException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * What the bytes of a token file say that has nothing beside it: that of llm.c by its header, one
 * of 32-bit ids by every second 16-bit word of its beginning, that of another program by its first
 * bytes, which is refused; what remains is nanoGPT's.
 *
 * @param offset of the first id, in bytes
 * @param wide whether ids take four bytes
 * @param tokens their number; 0 where unknown
 * @param note what the user should know; null for nothing
 * @see <a href="https://github.com/karpathy/llm.c/blob/master/dev/data/data_common.py">llm.c's
 *     writer</a>
 */
record TokenFileHead(long offset, boolean wide, long tokens, @Nullable String note) {
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /** llm.c's header is 256 words of 32 bits: magic, version, number of tokens. */
  private static final int HEADER = 1024;

  private static final int GPT2 = 20240520;
  private static final int GPT2_VERSION = 1;
  private static final int LLAMA3 = 20240801;
  private static final int LLAMA3_VERSION = 7;

  /** Pairs of words that are looked at. */
  private static final int LOOK = 1 << 12;

  private static final int FEWEST = 32;

  /** Vocabularies end below 2^20: the upper half of an id does. */
  private static final int UPPER = 16;

  /** First bytes of what is no token file, in hexadecimal, with the remedy. */
  private static final String[][] OTHERS = {
    {
      "934e554d5059", "is a NumPy array", "write its ids alone, with ids.astype('uint16').tofile(…)"
    },
    {"504b0304", "is a zip archive, as PyTorch writes", "write its ids alone, with numpy's tofile"},
    {"1f8b08", "is compressed by gzip", "unpack it with gunzip"},
    {"28b52ffd", "is compressed by zstd", "unpack it with unzstd"},
    {"47475546", "is a GGUF model", "name a token file"},
    {"c6d73401", "is a model of llm.c", "name a token file"}, // 20240326
  };

  static TokenFileHead of(Path path, MemorySegment bytes) {
    for (String[] other : OTHERS) {
      if (begins(bytes, other[0])) {
        throw new FileFormatException(path, other[1], other[2]);
      }
    }
    if (bytes.byteSize() >= 4) {
      int magic = bytes.get(INT, 0);
      if (magic == GPT2 || magic == LLAMA3) {
        return llmC(path, bytes, magic == LLAMA3);
      }
    }
    return isWide(bytes)
        ? new TokenFileHead(
            0,
            true,
            0,
            "%s holds 32-bit ids, by its look: a %s with {\"dtype\": \"uint16\"} says otherwise"
                .formatted(path, TokenFileDescription.path(path).getFileName()))
        : new TokenFileHead(0, false, 0, null);
  }

  private static boolean begins(MemorySegment bytes, String hex) {
    int n = hex.length() / 2;
    if (bytes.byteSize() < n) {
      return false;
    }
    for (int i = 0; i < n; i++) {
      if ((bytes.get(ValueLayout.JAVA_BYTE, i) & 0xFF)
          != Integer.parseInt(hex, 2 * i, 2 * i + 2, 16)) {
        return false;
      }
    }
    return true;
  }

  private static TokenFileHead llmC(Path path, MemorySegment bytes, boolean wide) {
    if (bytes.byteSize() < HEADER) {
      throw new FileFormatException(
          path, "is cut short: llm.c's header has " + HEADER + " bytes", "write the file again");
    }
    int version = bytes.get(INT, 4);
    int known = wide ? LLAMA3_VERSION : GPT2_VERSION;
    if (version != known) {
      throw new FileFormatException(
          path,
          "is a token file of llm.c of version " + version + ", not " + known,
          "write it with llm.c's present scripts");
    }
    long tokens = Integer.toUnsignedLong(bytes.get(INT, 8));
    long there = (bytes.byteSize() - HEADER) / (wide ? 4 : 2);
    if (tokens != there) {
      throw new FileFormatException(
          path, "holds " + there + " tokens, its header says " + tokens, "write the file again");
    }
    return new TokenFileHead(HEADER, wide, tokens, null);
  }

  /**
   * Whether every second word is so small that it can only be the upper half of an id: 0 in all of
   * them, or below {@value #UPPER} beside others that reach far higher. Text of 16-bit ids does not
   * have such a token in every second place.
   */
  private static boolean isWide(MemorySegment bytes) {
    long pairs = Math.min(LOOK, bytes.byteSize() / 4);
    if (bytes.byteSize() % 4 != 0 || pairs < FEWEST) {
      return false;
    }
    int lower = 0;
    int upper = 0;
    for (long i = 0; i < pairs; i++) {
      lower = Math.max(lower, bytes.get(SHORT, 4 * i) & 0xFFFF);
      upper = Math.max(upper, bytes.get(SHORT, 4 * i + 2) & 0xFFFF);
    }
    return upper == 0 ? lower > 0 : upper < UPPER && lower >= UPPER * UPPER;
  }
}
