package dev.javelin.train.tokenizer;

import java.util.BitSet;
import java.util.OptionalInt;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/** A tokenizer that recognises special tokens in every text. */
record TrustingTokenizer(Tokenizer plain) implements Tokenizer {
  @Override
  public void encode(String text, IntConsumer out) {
    for (int id : plain.encodeSpecial(text)) {
      out.accept(id);
    }
  }

  @Override
  public Tokenizer parsingSpecialTokens() {
    return this;
  }

  @Override
  public int[] encodeSpecial(String text) {
    return plain.encodeSpecial(text);
  }

  @Override
  public int[] encodePrompt(String text) {
    return plain.encodePrompt(text);
  }

  @Override
  public TypedIds encodeTyped(String text, @Nullable String second) {
    return plain.encodeTyped(text, second);
  }

  @Override
  public Encoded encode(String text, BitSet data, int... places) {
    return plain.encode(text, data, places);
  }

  @Override
  public String decode(int[] ids, boolean skipSpecial) {
    return plain.decode(ids, skipSpecial);
  }

  @Override
  public int vocabSize() {
    return plain.vocabSize();
  }

  @Override
  public int byteLength(int id) {
    return plain.byteLength(id);
  }

  @Override
  public SequencedMap<String, Integer> specialTokens() {
    return plain.specialTokens();
  }

  @Override
  public OptionalInt bos() {
    return plain.bos();
  }

  @Override
  public OptionalInt eos() {
    return plain.eos();
  }

  @Override
  public Set<Integer> ends() {
    return plain.ends();
  }

  @Override
  public SequencedMap<String, byte[]> files() {
    return plain.files();
  }
}
