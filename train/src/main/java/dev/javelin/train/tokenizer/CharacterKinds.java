package dev.javelin.train.tokenizer;

import dev.javelin.train.tokenizer.oniguruma.CharacterClasses;

/** Kinds of characters that normalizers and pre-tokenizers ask for, as {@code tokenizers} does. */
final class CharacterKinds {
  private static final int MARKS =
      1 << Character.NON_SPACING_MARK
          | 1 << Character.ENCLOSING_MARK
          | 1 << Character.COMBINING_SPACING_MARK;
  private static final int PUNCTUATION =
      1 << Character.DASH_PUNCTUATION
          | 1 << Character.START_PUNCTUATION
          | 1 << Character.END_PUNCTUATION
          | 1 << Character.CONNECTOR_PUNCTUATION
          | 1 << Character.OTHER_PUNCTUATION
          | 1 << Character.INITIAL_QUOTE_PUNCTUATION
          | 1 << Character.FINAL_QUOTE_PUNCTUATION;
  private static final int NUMBERS =
      1 << Character.DECIMAL_DIGIT_NUMBER
          | 1 << Character.LETTER_NUMBER
          | 1 << Character.OTHER_NUMBER;
  private static final int CONTROLS =
      1 << Character.CONTROL | 1 << Character.FORMAT | 1 << Character.PRIVATE_USE;

  private CharacterKinds() {}

  private static boolean is(int codePoint, int types) {
    return (types >>> EarlierUnicode.category(codePoint) & 1) != 0;
  }

  static boolean isMark(int codePoint) {
    return (MARKS >>> EarlierUnicode.markCategory(codePoint) & 1) != 0;
  }

  static boolean isNonSpacingMark(int codePoint) {
    return is(codePoint, 1 << Character.NON_SPACING_MARK);
  }

  /** Punctuation, and the symbols of ASCII. */
  static boolean isPunctuation(int codePoint) {
    return codePoint < 128
        ? codePoint > ' ' && codePoint < 127 && !Character.isLetterOrDigit(codePoint)
        : is(codePoint, PUNCTUATION);
  }

  static boolean isNumeric(int codePoint) {
    return (NUMBERS >>> Character.getType(codePoint) & 1) != 0;
  }

  static boolean isSpace(int codePoint) {
    return CharacterClasses.isSpace(codePoint);
  }

  /** What BERT removes: control, format and private characters, but tab and line ends. */
  static boolean isControl(int codePoint) {
    return is(codePoint, CONTROLS) && codePoint != '\t' && codePoint != '\n' && codePoint != '\r';
  }

  /** What BERT calls a Chinese character. */
  static boolean isChinese(int codePoint) {
    return codePoint >= 0x4E00 && codePoint <= 0x9FFF
        || codePoint >= 0x3400 && codePoint <= 0x4DBF
        || codePoint >= 0x20000 && codePoint <= 0x2A6DF
        || codePoint >= 0x2A700 && codePoint <= 0x2B81F
        || codePoint >= 0x2B920 && codePoint <= 0x2CEAF
        || codePoint >= 0xF900 && codePoint <= 0xFAFF
        || codePoint >= 0x2F800 && codePoint <= 0x2FA1F;
  }

  /** The script, all of Japanese as Han; UNKNOWN for a space, which goes with any. */
  static Character.UnicodeScript script(int codePoint) {
    Character.UnicodeScript script = EarlierUnicode.script(codePoint);
    return codePoint == ' '
        ? Character.UnicodeScript.UNKNOWN
        : codePoint == 0x30FC
                || script == Character.UnicodeScript.HIRAGANA
                || script == Character.UnicodeScript.KATAKANA
            ? Character.UnicodeScript.HAN
            : script;
  }
}
