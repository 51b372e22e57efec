package dev.javelin.device;

import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * Damaged copies of a file, each a function of a seed alone: for tests that a reader throws what it
 * declares and nothing else. {@link #SHORT} of them belong into every build, {@link #LONG} into a
 * test tagged {@code long}.
 */
public final class Mutations {
  public static final int SHORT = 10_000;
  public static final int LONG = 100_000;

  private static final String ALPHABET =
      "0123456789-.eE[]{}:,\"\\/\ntrufalsnFBIU \u0000\u001b\u00ff";

  private Mutations() {}

  /** What is done with a damaged copy. */
  @FunctionalInterface
  public interface Reader {
    /** Reads {@code bytes}; whether it was refused as declared. */
    boolean refuses(byte[] bytes) throws Exception;
  }

  /**
   * Reads {@code rounds} damaged copies of {@code whole}.
   *
   * @return how many were refused
   * @throws AssertionError naming the seed, where the reader threw something
   */
  public static int count(byte[] whole, long seed, int rounds, Reader reader) {
    int refused = 0;
    for (long s = seed; s < seed + rounds; s++) {
      byte[] bytes = mutate(whole, s);
      try {
        refused += reader.refuses(bytes) ? 1 : 0;
      } catch (Exception | StackOverflowError | OutOfMemoryError | AssertionError e) {
        throw new AssertionError("the damage of seed " + s, e);
      }
    }
    return refused;
  }

  /** One to three of: other bytes, a part moved, repeated or lost, another length. */
  public static byte[] mutate(byte[] whole, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    byte[] bytes = whole.clone();
    for (int n = random.nextInt(1, 4); n > 0; n--) {
      if (bytes.length == 0) {
        return bytes;
      }
      int at = random.nextInt(random.nextInt(4) == 0 ? Math.min(8, bytes.length) : bytes.length);
      int length = random.nextInt(Math.min(40, bytes.length - at) + 1);
      switch (random.nextInt(8)) {
        case 0 -> bytes = Arrays.copyOf(bytes, random.nextInt(bytes.length + 9));
        case 1 -> bytes[at] = (byte) random.nextInt(256);
        case 2 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
        case 3 -> { // overwritten by another part
          int to = random.nextInt(bytes.length);
          int fits = Math.min(length, bytes.length - to);
          System.arraycopy(bytes.clone(), at, bytes, to, fits);
        }
        case 4 -> bytes = joined(bytes, at, at + length); // lost
        case 5 -> bytes = joined(bytes, at + length, at); // repeated
        default -> bytes[at] = (byte) ALPHABET.charAt(random.nextInt(ALPHABET.length()));
      }
    }
    return bytes;
  }

  /** Bytes up to {@code end}, then those from {@code from} on. */
  private static byte[] joined(byte[] bytes, int end, int from) {
    byte[] out = Arrays.copyOf(bytes, end + bytes.length - from);
    System.arraycopy(bytes, from, out, end, bytes.length - from);
    return out;
  }
}
