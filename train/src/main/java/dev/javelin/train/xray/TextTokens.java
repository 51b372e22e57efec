package dev.javelin.train.xray;

import dev.javelin.train.data.InputException;
import dev.javelin.train.tokenizer.Encoded;
import dev.javelin.train.tokenizer.Tokenizer;
import java.util.Arrays;
import java.util.BitSet;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A text in tokens, and where in its UTF-8 each of them stands.
 *
 * @param from by token, its first byte; that of the byte behind it for one that the tokenizer has
 *     added
 * @param to by token, behind its last byte
 * @param anchor a token of the text, −1 for none
 */
@SuppressWarnings("ArrayRecordComponent") // read, never compared
record TextTokens(@Nullable Tokenizer tokenizer, int[] ids, int[] from, int[] to, int anchor) {

  /** Tokens without a text. */
  static TextTokens of(@Nullable Tokenizer tokenizer, int[] ids) {
    return new TextTokens(tokenizer, ids.clone(), new int[ids.length], new int[ids.length], -1);
  }

  /** A text, encoded as a prompt is. */
  static TextTokens of(Tokenizer tokenizer, String text) {
    int[] places = IntStream.rangeClosed(0, text.length()).toArray();
    Encoded bare = tokenizer.encode(text, new BitSet(), places);
    TextTokens all = of(tokenizer, tokenizer.encodePrompt(text));
    int n = bare.ids().length;
    int before = 0; // tokens that the tokenizer has added in front
    while (before + n <= all.ids.length
        && !Arrays.equals(all.ids, before, before + n, bare.ids(), 0, n)) {
      before++;
    }
    if (n == 0 || before + n > all.ids.length) {
      return all; // a template that changes the text: nothing is known
    }
    int[] lengths = Arrays.stream(bare.ids()).map(tokenizer::byteLength).toArray();
    all.place(before, bare, lengths, bytesBefore(text));
    return new TextTokens(tokenizer, all.ids, all.from, all.to, bare.ids()[0]);
  }

  /**
   * By the bytes that each token says it has; where they do not add up to the text, which a
   * tokenizer may normalise, by its characters.
   */
  private void place(int shift, Encoded bare, int[] lengths, int[] bytes) {
    int chars = bytes.length - 1;
    int n = bare.ids().length;
    boolean exact = Arrays.stream(lengths).sum() == bytes[chars];
    int at = 0;
    for (int i = 0; i < n; i++) {
      if (exact) {
        from[shift + i] = at;
        at += lengths[i];
        to[shift + i] = at;
      } else {
        int first = 0;
        while (first < chars && bare.upTo()[first + 1] <= i) {
          first++;
        }
        int end = first;
        while (end < chars && bare.before()[end] <= i) {
          end++;
        }
        from[shift + i] = bytes[first];
        to[shift + i] = bytes[end];
      }
    }
    Arrays.fill(from, shift + n, ids.length, bytes[chars]);
    Arrays.fill(to, shift + n, ids.length, bytes[chars]);
  }

  /** By character and behind the last, the UTF-8 bytes of the text before it. */
  private static int[] bytesBefore(String text) {
    int[] bytes = new int[text.length() + 1];
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      int width = c < 0x80 ? 1 : c < 0x800 || Character.isSurrogate(c) ? 2 : 3;
      bytes[i + 1] = bytes[i] + width;
    }
    return bytes;
  }

  /**
   * Refuses what cannot be shown.
   *
   * @param vocab of the model
   * @param most tokens
   * @throws InputException where the text has fewer than two tokens, more than {@code most}, or
   *     some that the model does not have
   */
  void check(int vocab, int most) {
    if (ids.length < 2) {
      throw new InputException(
          "the text must have at least 2 tokens, one to read and one to predict, it has "
              + ids.length);
    }
    if (ids.length > most) {
      throw new InputException(
          "the text has %d tokens, of this model at most %d can be shown: shorten it"
              .formatted(ids.length, most));
    }
    for (int id : ids) {
      if (id < 0 || id >= vocab) {
        throw new InputException(
            "the text has token %d, the model has 0 to %d: use the model's own tokenizer"
                .formatted(id, vocab - 1));
      }
    }
  }

  /** A token as it reads within a text. */
  String text(int id) {
    Tokenizer t = tokenizer;
    if (t == null || id >= t.vocabSize()) {
      return "<" + id + ">";
    }
    if (anchor >= 0) { // alone it might lose the space in front
      String before = t.decode(anchor);
      String both = t.decode(anchor, id);
      if (both.startsWith(before)) {
        return both.substring(before.length());
      }
    }
    return t.decode(id);
  }
}
