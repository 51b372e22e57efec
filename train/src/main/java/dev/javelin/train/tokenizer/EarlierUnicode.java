package dev.javelin.train.tokenizer;

import java.util.BitSet;

/**
 * The tables of {@code tokenizers} are of Unicode 8 (categories) and 9 (scripts), those of Java are
 * newer: characters that came since are unassigned there. {@code components.py} compares all code
 * points.
 */
final class EarlierUnicode {
  /**
   * What came after Unicode 9: pairs of the distance from the end of the range before and of the
   * range's length less one, to the base 36. They cover code points that are unassigned still.
   */
  private static final BitSet AFTER_9 =
      ranges(
          "128 0 14 0 2v 0 1a 0 dc 2 2p 1r m 0 9 l 89 2 3c 0 3o 5 2e 0 4v 0 1k 0 x 0 q 0 "
              + "d 0 2h 0 m d 4 0 1j 1 1x 0 79 0 3 0 3 0 2 5 5 0 8 0 8 1 3 0 e 0 k 0 1mn 0 8 a "
              + "6o 0 2x 0 g7 f 3i 3 1a 2 7e 1i 1k 0 3 0 70 4 jp 1 n3 0 14 2 1gu 0 z 2 d 0 9 p "
              + "5 f 1c 0 1c 0 di o bj 3 8f 1 3w 4 11 b 7k 0 59z 9 g7r 15 1io 0 9 1q 1i 0 5u 1 "
              + "h3 5 fvb 0 am f 3k 0 1b 1 pp 0 b5 2 g1 3n b1 1m hm 1 j 0 jc 3z 6p ae 3e 5 25 b "
              + "3b 3 3r 1 34 2 6y 0 1x 2q 3c 0 4 3 gn 1 n j 1j 0 12 6z 5h cf 1t 6x 7b lb 32p "
              + "2q u5 34b 5qe 1l 1tj 2h hj 9m 4r a 1c 8 2i g 4qk a l8 7bf 4 l5 4xx qr fa 1 5y "
              + "1f 3j 6 2a0 16 7a 1ji 99 0 me 5o r4 2 w 0 1p 3 1q 0 4z 5 vi c o 5 3c b 2e r 5c "
              + "2n g 0 9 7 2 1 d 0 d 3 g w j 19 2 fs xr2 8 386 4 4mv 699 3hf 71r");

  /** What came between Unicode 8 and 9, as far as categories that matter here go. */
  private static final BitSet AFTER_8 =
      ranges("1qs e 337 1 12t 0 37s 1 o75 0 ku1 0 e2 11 eb c 150 1t x 10 12kq 16 1sq r");

  private EarlierUnicode() {}

  private static BitSet ranges(String written) {
    BitSet set = new BitSet();
    String[] numbers = written.split(" ");
    int last = 0;
    for (int i = 0; i < numbers.length; i += 2) {
      int first = last + Integer.parseInt(numbers[i], 36);
      last = first + Integer.parseInt(numbers[i + 1], 36);
      set.set(first, last + 1);
    }
    return set;
  }

  /** The category that Unicode 8 had for a character, among those that are asked for. */
  static int category(int codePoint) {
    return switch (codePoint) {
      case 0x1734, 0x1171E -> Character.NON_SPACING_MARK;
      case 0xA9BD, 0x1CF2, 0x1CF3 -> Character.COMBINING_SPACING_MARK;
      case 0x166D, 0x111C9 -> Character.OTHER_PUNCTUATION;
      default ->
          AFTER_9.get(codePoint) || AFTER_8.get(codePoint)
              ? Character.UNASSIGNED
              : Character.getType(codePoint);
    };
  }

  /** The category that Unicode 9 had for a mark. */
  static int markCategory(int codePoint) {
    return AFTER_9.get(codePoint)
        ? Character.UNASSIGNED
        : AFTER_8.get(codePoint) ? Character.getType(codePoint) : category(codePoint);
  }

  /** The script that Unicode 9 had for a character. */
  static Character.UnicodeScript script(int codePoint) {
    return switch (codePoint) {
      case 0x589, 0x61C -> Character.UnicodeScript.COMMON;
      case 0x953, 0x954 -> Character.UnicodeScript.DEVANAGARI;
      default ->
          AFTER_9.get(codePoint)
              ? Character.UnicodeScript.UNKNOWN
              : Character.UnicodeScript.of(codePoint);
    };
  }
}
