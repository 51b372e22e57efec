package dev.javelin.kernels.cpu;

/**
 * Philox4x32-10: four random 32-bit words as a pure function of a 128-bit counter and a 64-bit key.
 * Any number of any stream is had without the ones before it, so a mask can be drawn again in the
 * backward pass, by another thread or on another split of the batch.
 *
 * <p>A round maps {@code (c0, c1, c2, c3)} to {@code (hi(M1·c2) ^ c1 ^ k0, lo(M1·c2), hi(M0·c0) ^
 * c3 ^ k1, lo(M0·c0))}; the key words grow by the Weyl constants between rounds; there are ten
 * rounds.
 *
 * @see <a href="https://doi.org/10.1145/2063384.2063405">Salmon et al. 2011, Parallel random
 *     numbers: as easy as 1, 2, 3</a>
 */
public final class Philox {
  /** Words of one block. */
  public static final int WORDS = 4;

  static final int ROUNDS = 10;
  static final long M0 = 0xD2511F53L;
  static final long M1 = 0xCD9E8D57L;
  static final int WEYL0 = 0x9E3779B9; // golden ratio
  static final int WEYL1 = 0xBB67AE85; // sqrt(3) - 1

  private Philox() {}

  /**
   * Writes the block of counter {@code (c0, c1, c2, c3)} under {@code key} to {@code out[0..3]}.
   */
  public static void block(int[] out, int c0, int c1, int c2, int c3, long key) {
    int k0 = (int) key;
    int k1 = (int) (key >>> 32);
    for (int round = 0; round < ROUNDS; round++) {
      long p0 = M0 * (c0 & 0xFFFFFFFFL);
      long p1 = M1 * (c2 & 0xFFFFFFFFL);
      c0 = (int) (p1 >>> 32) ^ c1 ^ k0;
      c2 = (int) (p0 >>> 32) ^ c3 ^ k1;
      c1 = (int) p1;
      c3 = (int) p0;
      k0 += WEYL0;
      k1 += WEYL1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
  }

  /** A word as a number in [0, 1): its upper 24 bits, so that every value is exact in fp32. */
  public static float uniform(int word) {
    return (word >>> 8) * 0x1p-24f;
  }
}
