package dev.javelin.train.inference;

import dev.javelin.train.tokenizer.Tokenizer;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;

/**
 * Tokens to pieces of text. A piece leaves when it can no longer change: not while the bytes of its
 * last character are spread over tokens to come, nor while it may be the beginning of a stop
 * string.
 */
final class TextStream {
  private static final char REPLACEMENT = '\uFFFD';

  private final Tokenizer tokenizer;
  private final List<String> stop;
  private final Consumer<String> out;
  private final StringBuilder text = new StringBuilder();
  private final int promptChars;
  private int[] ids;
  private int count;

  TextStream(Tokenizer tokenizer, int[] prompt, List<String> stop, Consumer<String> out) {
    this.tokenizer = tokenizer;
    this.stop = stop;
    this.out = out;
    this.ids = prompt.clone();
    this.count = prompt.length;
    this.promptChars = decoded().length();
  }

  private String decoded() {
    return tokenizer.decode(Arrays.copyOf(ids, count), true);
  }

  private String written() {
    String all = decoded();
    return all.substring(Math.min(promptChars, all.length()));
  }

  /** Takes a token; whether a stop string is complete, before which the text ends. */
  boolean add(int token) {
    if (count == ids.length) {
      ids = Arrays.copyOf(ids, count + count / 2 + 16);
    }
    ids[count++] = token;
    String now = written();
    int whole = now.length();
    while (whole > text.length() && now.charAt(whole - 1) == REPLACEMENT) {
      whole--;
    }
    return handOut(now.substring(0, whole), false);
  }

  /**
   * Hands out what was held back. A character that lacks bytes is U+FFFD, as in {@link
   * Tokenizer#decode(int[], boolean)}.
   *
   * @return whether there was a stop string in it
   */
  boolean end() {
    return handOut(written(), true);
  }

  private boolean handOut(String now, boolean last) {
    // What left before holds no beginning of a stop string that is still possible.
    int stopAt = -1;
    for (String s : stop) {
      int at = now.indexOf(s, text.length());
      stopAt = at >= 0 && (stopAt < 0 || at < stopAt) ? at : stopAt;
    }
    int to = stopAt >= 0 ? stopAt : last ? now.length() : now.length() - beginningOfStop(now);
    if (to > text.length()) {
      String piece = now.substring(text.length(), to);
      text.append(piece);
      out.accept(piece);
    }
    return stopAt >= 0;
  }

  /** How many characters at the end are the beginning of a stop string. */
  private int beginningOfStop(String now) {
    int longest = 0;
    for (String s : stop) {
      int most = Math.min(s.length() - 1, now.length() - text.length());
      for (int n = most; n > longest; n--) {
        if (now.endsWith(s.substring(0, n))) {
          longest = n;
        }
      }
    }
    return longest;
  }

  String text() {
    return text.toString();
  }
}
