package dev.javelin.train.chat;

import dev.javelin.train.data.InputException;
import dev.javelin.train.tokenizer.Encoded;
import dev.javelin.train.tokenizer.Tokenizer;
import java.util.BitSet;
import java.util.stream.IntStream;

/** A prompt and what follows it, without a template. */
final class PlainText {
  private PlainText() {}

  /**
   * The beginning-of-text token where the tokenizer puts one before every text, prompt and
   * completion, the end-of-text token where there is one.
   */
  static ChatTokens tokens(
      String prompt, String completion, Tokenizer tokenizer, LearnedTurns turns) {
    String text = prompt + completion;
    BitSet data = new BitSet(text.length());
    data.set(0, text.length());
    Encoded encoded = tokenizer.encode(text, data, prompt.length());
    IntStream.Builder ids = IntStream.builder();
    int before = TemplateFiles.addsBos(tokenizer) ? 1 : 0;
    if (before > 0) {
      tokenizer.bos().ifPresent(ids::add);
    }
    for (int id : encoded.ids()) {
      ids.add(id);
    }
    tokenizer.eos().ifPresent(ids::add);
    int[] all = ids.build().toArray();
    BitSet learned = new BitSet(all.length);
    learned.set(turns == LearnedTurns.ALL ? 0 : before + encoded.before()[0], all.length);
    if (learned.isEmpty()) {
      throw new InputException("its completion is empty, so nothing would be learned");
    }
    return new ChatTokens(all, learned);
  }
}
