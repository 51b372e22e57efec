package dev.javelin.kernels.cpu;

import static java.nio.ByteOrder.LITTLE_ENDIAN;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Rounds fp32 to bf16 up or down by chance, so that the mean of many roundings is the number
 * itself: with {@code f} the part of a last place that is cut off, up with probability {@code f}. A
 * uniform 16-bit number is added to the 16 bits that fall away; what carries over is the rounding,
 * and the probability is exact.
 *
 * <p>The number for element {@code e} of step {@code t} is half {@code e mod 8} of the block of
 * {@link Philox} at counter {@code (e/8, e/8 >>> 32, t, STREAM)} under the run's seed: the same on
 * every device and for any number of threads.
 *
 * @see <a href="https://arxiv.org/abs/1502.02551">Gupta et al. 2015, Deep learning with limited
 *     numerical precision</a>
 */
public final class StochasticRounding {
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(LITTLE_ENDIAN);

  /** Keeps its numbers apart from those of dropout, whose last counter word is a small one. */
  static final int STREAM = 0x726F756E;

  private static final int BLOCK = 2 * Philox.WORDS; // elements that a block of words serves
  private static final int INFINITY = 0x7F800000;

  private StochasticRounding() {}

  /** What decides the numbers of a step. */
  public record Key(long seed, int step) {}

  /**
   * {@code bf16[i] = round(x[i])} for {@code i < n}; infinities and NaN stay what they are.
   *
   * @param first number of the first element
   */
  static void narrow(
      MemorySegment bf16, long bf16Byte, MemorySegment x, long xByte, int n, long first, Key key) {
    int[] words = new int[Philox.WORDS];
    long drawn = -1;
    for (int i = 0; i < n; i++) {
      long block = (first + i) / BLOCK;
      if (block != drawn) {
        Philox.block(words, (int) block, (int) (block >>> 32), key.step, STREAM, key.seed);
        drawn = block;
      }
      int half = (int) ((first + i) % BLOCK);
      int random = words[half / 2] >>> 16 * (half % 2) & 0xFFFF;
      int bits = x.get(INT, xByte + 4L * i);
      bf16.set(SHORT, bf16Byte + 2L * i, round(bits, random));
    }
  }

  /** The bf16 of an fp32's bits, given 16 random ones. */
  static short round(int bits, int random) {
    int magnitude = bits & 0x7FFFFFFF;
    if (magnitude > INFINITY) {
      return (short) (bits >>> 16 | 0x40); // a NaN whose payload may be in the bits that fall away
    }
    return (short) (bits + random >>> 16);
  }
}
