package dev.javelin.train.tokenizer;

import dev.javelin.train.tokenizer.oniguruma.CharacterClasses;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/**
 * Tokens found in the text before anything else is done to it: the leftmost, the longest of those
 * that begin there. One automaton for all of them (Aho and Corasick 1975) reads the text once,
 * whatever the tokens say; white space and words around a token are looked at once.
 *
 * @see <a href="https://doi.org/10.1145/360825.360855">Aho, Corasick 1975</a>
 */
final class AddedTokens {
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

    Token withContent(String other) {
      return new Token(id, other, special, normalized, singleWord, lstrip, rstrip);
    }
  }

  /** Receives the text between added tokens, and their ids, in order. */
  interface Pieces {
    /**
     * @param start where the piece begins in the text that was split
     */
    void text(String piece, int start);

    /**
     * @param start where the token begins in the text that was split, white space along with it
     */
    void token(int id, int start, int end);
  }

  /** Where special tokens are recognised. */
  interface Special {
    Special EVERYWHERE = (start, end) -> true;
    Special NOWHERE = (start, end) -> false;

    /** Whether one that is written from {@code start} to {@code end} is. */
    boolean at(int start, int end);
  }

  private static final int ROOT = 0;

  private final List<Token> tokens;
  private final BitSet firstCharacters = new BitSet();

  /** State and character to the next state. */
  private final LongIntMap edges;

  /** By state: its length, the state of its longest proper suffix, the longest token at its end. */
  private final int[] depth;

  private final int[] suffix;
  private final int[] ending;

  /**
   * @param tokens of two with the same content the first counts
   */
  AddedTokens(List<Token> tokens) {
    this.tokens = List.copyOf(tokens);
    int states = 1 + tokens.stream().mapToInt(t -> t.content().length()).sum();
    edges = new LongIntMap(states);
    depth = new int[states];
    suffix = new int[states];
    ending = new int[states];
    java.util.Arrays.fill(ending, -1);
    List<int[]> arcs = new ArrayList<>(); // from, character, to
    for (int i = 0; i < tokens.size(); i++) {
      String content = tokens.get(i).content();
      firstCharacters.set(content.charAt(0));
      int state = ROOT;
      for (int k = 0; k < content.length(); k++) {
        int next = edges.get(edge(state, content.charAt(k)));
        if (next == LongIntMap.ABSENT) {
          next = arcs.size() + 1;
          edges.put(edge(state, content.charAt(k)), next);
          arcs.add(new int[] {state, content.charAt(k), next});
          depth[next] = k + 1;
        }
        state = next;
      }
      ending[state] = ending[state] < 0 ? i : ending[state];
    }
    arcs.sort(java.util.Comparator.comparingInt(arc -> depth[arc[2]]));
    for (int[] arc : arcs) {
      int state = arc[2];
      suffix[state] = arc[0] == ROOT ? ROOT : next(suffix[arc[0]], (char) arc[1]);
      ending[state] = ending[state] < 0 ? ending[suffix[state]] : ending[state];
    }
  }

  private static long edge(int state, char c) {
    return (long) state << 16 | c;
  }

  private int next(int from, char c) {
    int state = from;
    while (true) {
      int next = edges.get(edge(state, c));
      if (next != LongIntMap.ABSENT) {
        return next;
      }
      if (state == ROOT) {
        return ROOT;
      }
      state = suffix[state];
    }
  }

  /**
   * Cuts {@code text} at the added tokens.
   *
   * @param special where special tokens are recognised too; elsewhere they are text, and so is what
   *     they hold
   */
  void split(CharSequence text, Special special, Pieces out) {
    if (tokens.isEmpty()) {
      if (!text.isEmpty()) {
        out.text(text.toString(), 0);
      }
      return;
    }
    Cuts cuts = new Cuts(text, special, out);
    int state = ROOT;
    Token best = null;
    int bestStart = 0;
    int length = text.length();
    for (int at = 0; at < length || best != null; at++) {
      if (at < length) {
        char c = text.charAt(at);
        if (state == ROOT && best == null && !firstCharacters.get(c)) {
          continue;
        }
        state = next(state, c);
      }
      // Nothing that began where the token began, or before, can still be read.
      if (best != null && (at == length || at + 1 - depth[state] > bestStart)) {
        int end = bestStart + best.content().length();
        cuts.found(best, bestStart, end);
        at = end - 1;
        state = ROOT;
        best = null;
        continue;
      }
      int found = ending[state];
      if (found >= 0) {
        Token token = tokens.get(found);
        int start = at + 1 - token.content().length();
        if (best == null || start <= bestStart) {
          best = token;
          bestStart = start;
        }
      }
    }
    cuts.rest();
  }

  /** What has been handed out so far. */
  private static final class Cuts {
    private final CharSequence text;
    private final Special special;
    private final Pieces out;
    private int done;

    /** The run of white space behind a token that was measured last. */
    private int spacesFrom = -1;

    private int spacesTo = -1;

    Cuts(CharSequence text, Special special, Pieces out) {
      this.text = text;
      this.special = special;
      this.out = out;
    }

    void found(Token token, int tokenStart, int tokenEnd) {
      boolean inWord =
          token.singleWord()
              && (tokenStart > 0
                      && CharacterClasses.isWord(Character.codePointBefore(text, tokenStart))
                  || tokenEnd < text.length()
                      && CharacterClasses.isWord(Character.codePointAt(text, tokenEnd)));
      if (token.special() && !special.at(tokenStart, tokenEnd) || inWord) {
        return;
      }
      int start = tokenStart;
      while (token.lstrip() && start > done && isSpace(start - 1)) {
        start--;
      }
      int end = token.rstrip() ? spacesEnd(tokenEnd) : tokenEnd;
      if (start > done) {
        out.text(text.subSequence(done, start).toString(), done);
      }
      out.token(token.id(), start, end);
      done = end;
    }

    private boolean isSpace(int at) { // no white space lies beyond the BMP
      return CharacterClasses.isSpace(text.charAt(at));
    }

    private int spacesEnd(int from) {
      if (from < spacesFrom || from > spacesTo) {
        spacesFrom = from;
        spacesTo = from;
        while (spacesTo < text.length() && isSpace(spacesTo)) {
          spacesTo++;
        }
      }
      return spacesTo;
    }

    void rest() {
      if (done < text.length()) {
        out.text(
            done == 0 ? text.toString() : text.subSequence(done, text.length()).toString(), done);
      }
    }
  }
}
