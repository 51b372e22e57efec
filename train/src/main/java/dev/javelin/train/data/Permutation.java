package dev.javelin.train.data;

/**
 * A pseudo-random permutation of [0, n) that needs no table: a Feistel network of eight rounds over
 * the next even power of two, walked until the value falls below n (fewer than four walks on
 * average).
 *
 * @param half bits of one half of a value
 * @see <a href="https://doi.org/10.1007/3-540-45760-7_9">Black, Rogaway: Ciphers with Arbitrary
 *     Finite Domains, 2002</a>
 */
record Permutation(long key, long n, int half) {
  private static final int ROUNDS = 8;

  static Permutation of(long seed, long epoch, long n) {
    int bits = 64 - Long.numberOfLeadingZeros(n - 1);
    return new Permutation(mix(mix(seed) + epoch), n, (bits + 1) / 2);
  }

  long apply(long i) {
    long x = i;
    do {
      x = encrypt(x);
    } while (x >= n);
    return x;
  }

  private long encrypt(long x) {
    long mask = (1L << half) - 1;
    long left = x >>> half;
    long right = x & mask;
    for (int round = 0; round < ROUNDS; round++) {
      long next = left ^ mix(key + mix(right + ((long) round << 48))) & mask;
      left = right;
      right = next;
    }
    return left << half | right;
  }

  /** The finaliser of SplitMix64 (Steele, Lea, Flood 2014). */
  private static long mix(long z) {
    z += 0x9E3779B97F4A7C15L;
    z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
    z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
    return z ^ z >>> 31;
  }
}
