package dev.javelin.train.tokenizer;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Tokens found in the text before anything else is done to it: the leftmost, the longest of those
 * that begin there.
 */
final class AddedTokens {
  private static final Pattern SPACES_BEFORE = pattern("\\s+\\z");
  private static final Pattern SPACES_AFTER = pattern("\\A\\s+");
  private static final Pattern WORD_BEFORE = pattern("\\w\\z");
  private static final Pattern WORD_AFTER = pattern("\\A\\w");

  /**
   * One such token.
   *
   * @param special control text, never shown; only recognised where the text is trusted
   * @param normalized look for it in the normalised text
   * @param singleWord not inside a word
   * @param lstrip take the white space before it along
   * @param rstrip take the white space behind it along
   */
  record Token(
      int id,
      String content,
      boolean special,
      boolean normalized,
      boolean singleWord,
      boolean lstrip,
      boolean rstrip) {

    /** A special token as they usually are. */
    static Token special(int id, String content) {
      return new Token(id, content, true, false, false, false, false);
    }
  }

  /** Receives the text between added tokens, and their ids, in order. */
  interface Pieces {
    /**
     * @param start where the piece begins in the text that was split
     */
    void text(String piece, int start);

    void token(int id);
  }

  private final List<Token> longestFirst;
  private final BitSet firstCharacters = new BitSet();

  AddedTokens(List<Token> tokens) {
    longestFirst = new ArrayList<>(tokens);
    longestFirst.sort(Comparator.comparingInt((Token t) -> t.content().length()).reversed());
    longestFirst.forEach(t -> firstCharacters.set(t.content().charAt(0)));
  }

  private static Pattern pattern(String regex) {
    return Pattern.compile(regex, Pattern.UNICODE_CHARACTER_CLASS);
  }

  /**
   * Cuts {@code text} at the added tokens.
   *
   * @param special recognise special tokens too
   */
  void split(String text, boolean special, Pieces out) {
    int done = 0;
    for (int i = 0; i < text.length(); i++) {
      Token token = firstCharacters.get(text.charAt(i)) ? at(text, i, special) : null;
      if (token == null) {
        continue;
      }
      int start = i;
      int end = i + token.content().length();
      if (token.singleWord()
          && (WORD_BEFORE.matcher(text.substring(0, start)).find()
              || WORD_AFTER.matcher(text.substring(end)).find())) {
        i = end - 1;
        continue;
      }
      if (token.lstrip()) {
        var spaces = SPACES_BEFORE.matcher(text.substring(done, start));
        start = spaces.find() ? done + spaces.start() : start;
      }
      if (token.rstrip()) {
        var spaces = SPACES_AFTER.matcher(text.substring(end));
        end = spaces.find() ? end + spaces.end() : end;
      }
      if (start > done) {
        out.text(text.substring(done, start), done);
      }
      out.token(token.id());
      done = end;
      i = end - 1;
    }
    if (done < text.length()) {
      out.text(done == 0 ? text : text.substring(done), done);
    }
  }

  private @Nullable Token at(String text, int start, boolean special) {
    for (Token token : longestFirst) {
      if ((special || !token.special()) && text.startsWith(token.content(), start)) {
        return token;
      }
    }
    return null;
  }
}
