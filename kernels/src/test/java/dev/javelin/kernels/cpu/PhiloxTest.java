package dev.javelin.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigInteger;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PhiloxTest {

  /** The lines "philox4x32 10" of kat_vectors in the Random123 distribution. */
  @ParameterizedTest
  @CsvSource({
    "00000000 00000000 00000000 00000000, 00000000 00000000, 6627e8d5 e169c58d bc57ac4c 9b00dbd8",
    "ffffffff ffffffff ffffffff ffffffff, ffffffff ffffffff, 408f276d 41c83b0e a20bc7c6 6d5451fd",
    "243f6a88 85a308d3 13198a2e 03707344, a4093822 299f31d0, d16cfe09 94fdcceb 5001e420 24126ea1"
  })
  void matchesThePublishedVectors(String counter, String key, String expected) {
    int[] c = words(counter);
    int[] k = words(key);
    int[] out = new int[4];
    Philox.block(out, c[0], c[1], c[2], c[3], (k[0] & 0xFFFFFFFFL) | (long) k[1] << 32);
    assertThat(out).isEqualTo(words(expected));
  }

  @Test
  void equalsTheDefinitionInUnboundedIntegers() {
    var random = new SplittableRandom(7);
    int[] out = new int[4];
    for (int i = 0; i < 200; i++) {
      int[] c = {random.nextInt(), random.nextInt(), random.nextInt(), random.nextInt()};
      long key = random.nextLong();
      Philox.block(out, c[0], c[1], c[2], c[3], key);
      assertThat(out).isEqualTo(reference(c, key));
    }
  }

  @Test
  void uniformsFillTheUnitIntervalEvenly() {
    int[] out = new int[4];
    int[] bins = new int[16];
    int blocks = 40_000;
    for (int i = 0; i < blocks; i++) {
      Philox.block(out, i, 3, 5, 7, 42);
      for (int w : out) {
        float u = Philox.uniform(w);
        assertThat(u).isBetween(0f, Math.nextDown(1f));
        bins[(int) (u * 16)]++;
      }
    }
    double expected = 4.0 * blocks / 16;
    double chiSquared = 0;
    for (int b : bins) {
      chiSquared += (b - expected) * (b - expected) / expected;
    }
    assertThat(chiSquared).isLessThan(37.7); // 15 degrees of freedom, p = 0.001
  }

  private static int[] reference(int[] counter, long key) {
    BigInteger m0 = BigInteger.valueOf(0xD2511F53L);
    BigInteger m1 = BigInteger.valueOf(0xCD9E8D57L);
    BigInteger[] c = new BigInteger[4];
    for (int i = 0; i < 4; i++) {
      c[i] = BigInteger.valueOf(Integer.toUnsignedLong(counter[i]));
    }
    BigInteger word = BigInteger.ONE.shiftLeft(32);
    BigInteger k0 = BigInteger.valueOf(key & 0xFFFFFFFFL);
    BigInteger k1 = BigInteger.valueOf(key >>> 32);
    for (int round = 0; round < 10; round++) {
      BigInteger[] p = m0.multiply(c[0]).divideAndRemainder(word);
      BigInteger[] q = m1.multiply(c[2]).divideAndRemainder(word);
      c = new BigInteger[] {q[0].xor(c[1]).xor(k0), q[1], p[0].xor(c[3]).xor(k1), p[1]};
      k0 = k0.add(BigInteger.valueOf(0x9E3779B9L)).mod(word);
      k1 = k1.add(BigInteger.valueOf(0xBB67AE85L)).mod(word);
    }
    return new int[] {c[0].intValue(), c[1].intValue(), c[2].intValue(), c[3].intValue()};
  }

  private static int[] words(String hex) {
    String[] s = hex.split(" ");
    int[] w = new int[s.length];
    for (int i = 0; i < s.length; i++) {
      w[i] = Integer.parseUnsignedInt(s[i], 16);
    }
    return w;
  }
}
