package dev.javelin.train.data;

import java.math.BigDecimal;
import java.math.RoundingMode;

/** A sequence of token ids with random access. */
public sealed interface TokenSource extends AutoCloseable
    permits TokenArray, TokenFile, TokenSource.Part {

  /** How the source is called in messages. */
  String name();

  /** The number of tokens. */
  long size();

  /** Reads {@code count} ids from position {@code from} on; ids are unsigned 32-bit numbers. */
  void read(long from, int[] into, int count);

  @Override
  void close();

  /** Tokens in memory. */
  static TokenSource of(String name, int... ids) {
    TokenBuffer buffer = new TokenBuffer();
    for (int id : ids) {
      buffer.accept(id);
    }
    return buffer.finish(name);
  }

  /** The tokens [from, to), open as long as this source is. */
  default TokenSource part(String partName, long from, long to) {
    return new Part(name() + " (" + partName + ")", this, from, to);
  }

  /**
   * Where the last {@code fraction} of {@code size} tokens begins: ⌊size · (1 − fraction)⌋, the
   * fraction taken as the decimal number it is written as.
   */
  static long splitAt(long size, double fraction) {
    if (!(fraction >= 0 && fraction < 1)) {
      throw new IllegalArgumentException(
          "the validation fraction must be in [0, 1), got " + fraction);
    }
    return BigDecimal.ONE
        .subtract(BigDecimal.valueOf(fraction))
        .multiply(BigDecimal.valueOf(size))
        .setScale(0, RoundingMode.FLOOR)
        .longValueExact();
  }

  /** A range of another source. */
  record Part(String name, TokenSource whole, long from, long to) implements TokenSource {
    public Part {
      if (from < 0 || to < from || to > whole.size()) {
        throw new IllegalArgumentException(
            "part [" + from + ", " + to + ") of " + whole.size() + " tokens of " + name);
      }
    }

    @Override
    public long size() {
      return to - from;
    }

    @Override
    public void read(long position, int[] into, int count) {
      if (position < 0 || position + count > size()) {
        throw new IndexOutOfBoundsException(
            "tokens [" + position + ", " + (position + count) + ") of " + size() + " of " + name);
      }
      whole.read(from + position, into, count);
    }

    /** The memory is the whole's. */
    @Override
    public void close() {}
  }
}
