package dev.javelin.train.tokenizer.oniguruma;

/** Classes of characters as Rust's regular expressions know them. */
public final class CharacterClasses {
  private CharacterClasses() {}

  /** Rust's {@code \w}. */
  public static boolean isWord(int codePoint) {
    return UnicodeSets.Words.RUST_WORD.contains(codePoint);
  }

  /** {@code \s}: Unicode's White_Space. */
  public static boolean isSpace(int codePoint) {
    return UnicodeSets.SPACE.contains(codePoint);
  }
}
