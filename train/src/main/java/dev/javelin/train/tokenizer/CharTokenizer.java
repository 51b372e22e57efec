package dev.javelin.train.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.OptionalInt;
import java.util.SequencedMap;
import java.util.function.IntConsumer;
import java.util.stream.Stream;

/**
 * A token for each distinct character (Unicode code point) of the training text, in ascending
 * order: nanoGPT's {@code sorted(set(text))}.
 */
public final class CharTokenizer implements Tokenizer {
  private final int[] characters;
  private final LongIntMap ids;

  private CharTokenizer(BitSet present) {
    if (present.isEmpty()) {
      throw new IllegalArgumentException("a character vocabulary needs a text, got none");
    }
    characters = present.stream().toArray();
    ids = new LongIntMap(characters.length);
    for (int id = 0; id < characters.length; id++) {
      ids.put(characters[id], id);
    }
  }

  /** The vocabulary of some texts. */
  public static CharTokenizer of(Stream<String> texts) {
    BitSet present = new BitSet();
    texts.forEach(
        text -> {
          for (int i = 0, c; i < text.length(); i += Character.charCount(c)) {
            c = text.codePointAt(i);
            present.set(c);
          }
        });
    return new CharTokenizer(present);
  }

  @Override
  public void encode(String text, IntConsumer out) {
    for (int i = 0, c; i < text.length(); i += Character.charCount(c)) {
      c = text.codePointAt(i);
      int id = ids.get(c);
      if (id == LongIntMap.ABSENT) {
        throw new IllegalArgumentException(
            String.format(
                "character '%s' (U+%04X) is not in the vocabulary of %d characters",
                Character.toString(c), c, characters.length));
      }
      out.accept(id);
    }
  }

  @Override
  public int[] encodePrompt(String text) {
    return encode(text);
  }

  @Override
  public Encoded encode(String text, BitSet data, int... places) {
    MixedText mixed = new MixedText((piece, start, out) -> encode(piece, out), places);
    mixed.text(text, 0);
    return mixed.finish();
  }

  @Override
  public String decode(int[] ids, boolean skipSpecial) {
    StringBuilder text = new StringBuilder(ids.length);
    for (int id : ids) {
      text.appendCodePoint(character(id));
    }
    return text.toString();
  }

  private int character(int id) {
    if (id < 0 || id >= characters.length) {
      throw new IllegalArgumentException(
          "token id " + id + " is outside the vocabulary [0, " + characters.length + ")");
    }
    return characters[id];
  }

  @Override
  public int vocabSize() {
    return characters.length;
  }

  @Override
  public int byteLength(int id) {
    return Character.toString(character(id)).getBytes(StandardCharsets.UTF_8).length;
  }

  @Override
  public SequencedMap<String, Integer> specialTokens() {
    return new LinkedHashMap<>();
  }

  @Override
  public OptionalInt bos() {
    return OptionalInt.empty();
  }

  @Override
  public OptionalInt eos() {
    return OptionalInt.empty();
  }

  @Override
  public SequencedMap<String, byte[]> files() {
    SequencedMap<String, Integer> tokens = new LinkedHashMap<>();
    for (int id = 0; id < characters.length; id++) {
      tokens.put(Character.toString(characters[id]), id);
    }
    return TokenizerJsonWriter.characters(tokens);
  }
}
