package dev.javelin.train.tokenizer;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.BitSet;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.OptionalInt;
import java.util.SequencedMap;
import java.util.function.IntConsumer;

/**
 * A token for each of the 256 bytes, id = byte, and special tokens behind them if wanted. Every
 * text can be expressed; bits per byte are bits per token.
 */
public final class ByteTokenizer implements Tokenizer {
  private static final int BYTES = 256;

  private final SequencedMap<String, Integer> specials = new LinkedHashMap<>();
  private final AddedTokens added;
  private final List<String> names;

  /**
   * @param specials names of special tokens, which get the ids from 256 on; the first ends a text
   */
  public ByteTokenizer(String... specials) {
    for (String name : specials) {
      if (name.isEmpty() || this.specials.containsKey(name)) {
        throw new IllegalArgumentException(
            "special tokens must be distinct and not empty: " + List.of(specials));
      }
      this.specials.put(name, BYTES + this.specials.size());
    }
    this.names = List.of(specials);
    this.added =
        new AddedTokens(
            this.specials.entrySet().stream()
                .map(e -> AddedTokens.Token.special(e.getValue(), e.getKey()))
                .toList());
  }

  @Override
  public void encode(String text, IntConsumer out) {
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      out.accept(b & 0xFF);
    }
  }

  @Override
  public int[] encodePrompt(String text) {
    return encode(text, new BitSet()).ids();
  }

  @Override
  public Encoded encode(String text, BitSet data, int... places) {
    MixedText mixed = new MixedText((piece, start, out) -> encode(piece, out), places);
    added.split(text, MixedText.outside(data), mixed);
    return mixed.finish();
  }

  @Override
  public String decode(int[] ids, boolean skipSpecial) {
    ByteArrayOutputStream utf8 = new ByteArrayOutputStream(ids.length);
    for (int id : ids) {
      if (id < 0 || id >= vocabSize()) {
        throw new IllegalArgumentException(
            "token id " + id + " is outside the vocabulary [0, " + vocabSize() + ")");
      }
      if (id < BYTES) {
        utf8.write(id);
      } else if (!skipSpecial) {
        utf8.writeBytes(names.get(id - BYTES).getBytes(StandardCharsets.UTF_8));
      }
    }
    return utf8.toString(StandardCharsets.UTF_8);
  }

  @Override
  public int vocabSize() {
    return BYTES + names.size();
  }

  @Override
  public int byteLength(int id) {
    return id < BYTES ? 1 : 0;
  }

  @Override
  public SequencedMap<String, Integer> specialTokens() {
    return Collections.unmodifiableSequencedMap(specials);
  }

  @Override
  public OptionalInt bos() {
    return OptionalInt.empty();
  }

  @Override
  public OptionalInt eos() {
    return names.isEmpty() ? OptionalInt.empty() : OptionalInt.of(BYTES);
  }

  @Override
  public SequencedMap<String, byte[]> files() {
    SequencedMap<String, Integer> tokens = new LinkedHashMap<>();
    for (int b = 0; b < BYTES; b++) {
      tokens.put(String.valueOf(ByteSymbols.symbol(b)), b);
    }
    return TokenizerJsonWriter.byteLevel(tokens, List.of(), specials, false);
  }
}
