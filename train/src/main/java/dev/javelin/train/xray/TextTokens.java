package dev.javelin.train.xray;

import dev.javelin.train.data.InputException;
import dev.javelin.train.tokenizer.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A text in tokens, and where in its UTF-8 each of them stands: by the bytes that the tokenizer
 * says each has. Where these do not add up to the text, because the tokenizer normalises it, all
 * places are 0.
 *
 * @param from by token, its first byte
 * @param to by token, behind its last byte; equal to {@code from} for one that was added
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
    int[] bare = tokenizer.encodeSpecial(text);
    TextTokens all = of(tokenizer, tokenizer.encodePrompt(text));
    int added = 0; // in front
    while (added + bare.length <= all.ids.length
        && !Arrays.equals(all.ids, added, added + bare.length, bare, 0, bare.length)) {
      added++;
    }
    if (bare.length == 0 || added + bare.length > all.ids.length) {
      return all; // a template that changes the text
    }
    int[] lengths = Arrays.stream(bare).map(tokenizer::byteLength).toArray();
    int bytes = text.getBytes(StandardCharsets.UTF_8).length;
    int more = Arrays.stream(lengths).sum() - bytes;
    if (more == 1 && lengths[0] > 0) {
      lengths[0]--; // sentencepiece puts a space in front of the text
      more = 0;
    }
    if (more == 0) {
      all.place(added, lengths);
    }
    return new TextTokens(tokenizer, all.ids, all.from, all.to, bare[0]);
  }

  private void place(int added, int... lengths) {
    int at = 0;
    for (int i = 0; i < ids.length; i++) {
      from[i] = at;
      at += i >= added && i < added + lengths.length ? lengths[i - added] : 0;
      to[i] = at;
    }
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
