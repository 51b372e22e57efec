package dev.javelin.train.xray;

import dev.javelin.train.data.InputException;
import dev.javelin.train.tokenizer.Encoded;
import dev.javelin.train.tokenizer.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.BitSet;
import java.util.stream.IntStream;

/** A text in tokens, as a prompt is encoded, and where in it each of them stands. */
final class TextTokens {
  private final Tokenizer tokenizer;
  private final int[] ids;
  private final int[] from;
  private final int[] to;
  private final int anchor; // a token of the text, or −1

  /**
   * @param vocab of the model
   * @param most tokens that a page can show
   * @throws InputException where the text has fewer than two tokens, more than {@code most}, or
   *     some that the model does not have
   */
  TextTokens(Tokenizer tokenizer, String text, int vocab, int most) {
    this.tokenizer = tokenizer;
    this.ids = tokenizer.encodePrompt(text);
    if (ids.length < 2) {
      throw new InputException(
          "--text must have at least 2 tokens, one to read and one to predict; it has "
              + ids.length);
    }
    if (ids.length > most) {
      throw new InputException(
          "--text has %,d tokens, at most %,d can be shown for this model: shorten it"
              .formatted(ids.length, most));
    }
    for (int id : ids) {
      if (id >= vocab) {
        throw new InputException(
            "--text has token %d, the model's vocabulary ends at %d: use the model's own tokenizer"
                .formatted(id, vocab - 1));
      }
    }
    this.from = new int[ids.length];
    this.to = new int[ids.length];
    this.anchor = place(text);
  }

  int[] ids() {
    return ids.clone();
  }

  int from(int token) {
    return from[token];
  }

  int to(int token) {
    return to[token];
  }

  /** A token as it reads within a text. */
  String text(int id) {
    if (id >= tokenizer.vocabSize()) {
      return "<" + id + ">";
    }
    if (anchor >= 0) { // alone it might lose the space in front
      String before = tokenizer.decode(anchor);
      String both = tokenizer.decode(anchor, id);
      if (both.startsWith(before)) {
        return both.substring(before.length());
      }
    }
    return tokenizer.decode(id);
  }

  /**
   * Finds each token's bytes: what the tokenizer has added stands around the text and has none.
   *
   * @return a token of the text
   */
  private int place(String text) {
    Encoded bare =
        tokenizer.encode(text, new BitSet(), IntStream.rangeClosed(0, text.length()).toArray());
    int shift = 0;
    int n = bare.ids().length;
    while (shift + n < ids.length && !Arrays.equals(ids, shift, shift + n, bare.ids(), 0, n)) {
      shift++;
    }
    if (n == 0 || !Arrays.equals(ids, shift, Math.min(ids.length, shift + n), bare.ids(), 0, n)) {
      return -1; // a template that changes the text: nothing is known
    }
    int[] bytes = new int[text.length() + 1]; // in front of each character
    for (int i = 0; i < text.length(); i++) {
      int width = text.substring(0, i + 1).getBytes(StandardCharsets.UTF_8).length;
      bytes[i + 1] = width;
    }
    int[] lengths = Arrays.stream(bare.ids()).map(tokenizer::byteLength).toArray();
    boolean exact = Arrays.stream(lengths).sum() == bytes[text.length()];
    int at = 0;
    for (int i = 0; i < n; i++) {
      if (exact) {
        from[shift + i] = at;
        at += lengths[i];
        to[shift + i] = at;
      } else {
        int first = 0;
        while (first < text.length() && bare.upTo()[first + 1] <= i) {
          first++;
        }
        int end = first;
        while (end < text.length() && bare.before()[end] <= i) {
          end++;
        }
        from[shift + i] = bytes[first];
        to[shift + i] = bytes[end];
      }
    }
    Arrays.fill(from, shift + n, ids.length, bytes[text.length()]);
    Arrays.fill(to, shift + n, ids.length, bytes[text.length()]);
    return bare.ids()[0];
  }
}
