package dev.javelin.nn;

import java.util.Arrays;
import java.util.SplittableRandom;

/** Texts with bytes changed, moved and cut. */
final class Mutants {
  private static final String ALPHABET = "0123456789-.eE[]{}:,\"\\ntrufalsx_ /\u0000é";

  private Mutants() {}

  static byte[] of(byte[] whole, SplittableRandom random) {
    byte[] bytes = whole.clone();
    for (int n = random.nextInt(1, 4); n > 0; n--) {
      int at = random.nextInt(bytes.length);
      switch (random.nextInt(6)) {
        case 0 -> bytes = Arrays.copyOf(bytes, random.nextInt(1, bytes.length + 1));
        case 1 -> bytes[at] = (byte) random.nextInt(256);
        case 2 -> {
          int to = random.nextInt(bytes.length);
          int length = Math.min(random.nextInt(40), bytes.length - Math.max(at, to));
          System.arraycopy(bytes.clone(), at, bytes, to, length);
        }
        default -> { // another digit where there is one keeps most of these readable
          int digit = at;
          while (digit < bytes.length - 1 && !Character.isDigit(bytes[digit])) {
            digit++;
          }
          boolean plain = random.nextBoolean();
          bytes[plain ? digit : at] =
              (byte) ALPHABET.charAt(random.nextInt(plain ? 10 : ALPHABET.length()));
        }
      }
    }
    return bytes;
  }
}
