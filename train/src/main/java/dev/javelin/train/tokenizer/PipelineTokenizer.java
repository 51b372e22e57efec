package dev.javelin.train.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.OptionalInt;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.IntConsumer;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * A tokenizer made of parts, in Hugging Face's order of work: added tokens, normalizer,
 * pre-tokenizer, model, and for a prompt the template; backwards the decoder.
 */
final class PipelineTokenizer implements Tokenizer {
  private static final Pattern BYTE_TOKEN = Pattern.compile("<0x[0-9A-F]{2}>");

  /**
   * What the tokenizer is made of.
   *
   * @param tokens the token of each id, null where an id has none
   * @param added found in the text first, or after normalisation where so marked
   * @param template put around a prompt
   */
  record Parts(
      List<@Nullable String> tokens,
      List<AddedTokens.Token> added,
      UnaryOperator<String> normalizer,
      PreTokenization.Splitter splitter,
      Model model,
      Decoding decoder,
      Template template) {}

  private final Parts parts;
  private final AddedTokens raw;
  private final AddedTokens normalized;
  private final boolean normalisedSpecial;
  private final SequencedMap<String, Integer> specials = new LinkedHashMap<>();
  private final BitSet specialIds = new BitSet();
  private final OptionalInt bos;
  private final Set<Integer> ends;
  private final SequencedMap<String, byte[]> files;

  /**
   * @param ends the tokens that end a text, the usual one first
   */
  PipelineTokenizer(
      Parts parts, OptionalInt bos, Set<Integer> ends, SequencedMap<String, byte[]> files) {
    this.parts = parts;
    this.bos = bos;
    this.ends = Collections.unmodifiableSet(new LinkedHashSet<>(ends));
    this.files = files;
    List<AddedTokens.Token> before = new ArrayList<>();
    List<AddedTokens.Token> after = new ArrayList<>();
    // Of two that are equal when normalised a special one counts.
    for (AddedTokens.Token t : specialFirst(parts.added())) {
      if (t.special()) {
        specials.put(t.content(), t.id());
        specialIds.set(t.id());
      }
      if (t.normalized()) {
        String content = parts.normalizer().apply(t.content());
        after.add(t.withContent(content));
      } else {
        before.add(t);
      }
    }
    raw = new AddedTokens(before);
    normalized = new AddedTokens(after);
    normalisedSpecial = after.stream().anyMatch(AddedTokens.Token::special);
  }

  private static List<AddedTokens.Token> specialFirst(List<AddedTokens.Token> added) {
    List<AddedTokens.Token> sorted = new ArrayList<>(added);
    sorted.sort(Comparator.comparing(token -> !token.special()));
    return sorted;
  }

  @Override
  public void encode(String text, IntConsumer out) {
    encode(text, AddedTokens.Special.NOWHERE, out);
  }

  @Override
  public int[] encodePrompt(String text) {
    return encodeTyped(text, null).ids();
  }

  @Override
  public TypedIds encodeTyped(String text, @Nullable String second) {
    IntStream.Builder ids = IntStream.builder();
    IntStream.Builder types = IntStream.builder();
    Template template = parts.template();
    for (Template.Piece piece : second == null ? template.single() : template.pair()) {
      IntConsumer out =
          id -> {
            ids.add(id);
            types.add(piece.typeId());
          };
      switch (piece) {
        case Template.Token token -> out.accept(token.id());
        case Template.Text part ->
            encode(
                part.second() && second != null ? second : text,
                AddedTokens.Special.EVERYWHERE,
                out);
      }
    }
    return new TypedIds(ids.build().toArray(), types.build().toArray());
  }

  private void encode(String text, AddedTokens.Special special, IntConsumer out) {
    raw.split(
        text,
        special,
        new Pieces(out) {
          @Override
          public void text(String piece, int start) {
            normalise(piece, start, special != AddedTokens.Special.NOWHERE, out);
          }
        });
  }

  private void normalise(String piece, int start, boolean special, IntConsumer out) {
    PreTokenization.Words words = (word, first) -> parts.model().encode(word, out);
    normalized.split(
        parts.normalizer().apply(piece),
        special ? AddedTokens.Special.EVERYWHERE : AddedTokens.Special.NOWHERE,
        new Pieces(out) {
          @Override
          public void text(String part, int at) {
            parts.splitter().split(part, start + at == 0, words);
          }
        });
  }

  @Override
  public Encoded encode(String text, BitSet data, int... places) {
    MixedText.Plain plain =
        (piece, start, out) -> normalise(piece, start, !mayWriteSpecial(piece, start, data), out);
    MixedText mixed = new MixedText(plain, places);
    raw.split(text, MixedText.outside(data), mixed);
    return mixed.finish();
  }

  /** Whether the data in a piece, normalised, hold what is a special token then. */
  private boolean mayWriteSpecial(String piece, int start, BitSet data) {
    if (!normalisedSpecial || data.nextSetBit(start) < 0) {
      return false;
    }
    StringBuilder own = new StringBuilder();
    for (int i = 0; i < piece.length(); i++) {
      own.append(data.get(start + i) ? piece.charAt(i) : '\n');
    }
    boolean[] found = new boolean[1];
    normalized.split(
        parts.normalizer().apply(own.toString()),
        (from, to) -> {
          found[0] = true;
          return false;
        },
        new Pieces(id -> {}) {
          @Override
          public void text(String part, int at) {}
        });
    return found[0];
  }

  /** Ids of added tokens go out as they come. */
  private abstract static class Pieces implements AddedTokens.Pieces {
    private final IntConsumer out;

    Pieces(IntConsumer out) {
      this.out = out;
    }

    @Override
    public void token(int id, int start, int end) {
      out.accept(id);
    }
  }

  @Override
  public String decode(int[] ids, boolean skipSpecial) {
    List<String> names = new ArrayList<>(ids.length);
    for (int id : ids) {
      String name = name(id);
      if (name != null && !(skipSpecial && specialIds.get(id))) {
        names.add(name);
      }
    }
    return String.join("", parts.decoder().steps().apply(names));
  }

  private @Nullable String name(int id) {
    if (id < 0 || id >= vocabSize()) {
      throw new IllegalArgumentException(
          "token id " + id + " is outside the vocabulary [0, " + vocabSize() + ")");
    }
    return parts.tokens().get(id);
  }

  @Override
  public int vocabSize() {
    return parts.tokens().size();
  }

  @Override
  public int byteLength(int id) {
    String name = name(id);
    if (name == null || specialIds.get(id)) {
      return 0;
    }
    if (parts.decoder().byteLevel()) {
      var bytes = new java.io.ByteArrayOutputStream();
      ByteSymbols.appendBytes(name, bytes);
      return bytes.size();
    }
    if (parts.decoder().byteFallback() && BYTE_TOKEN.matcher(name).matches()) {
      return 1;
    }
    // What the token adds behind another one: decoders treat the first token of a text specially.
    return utf8Length(List.of("a", name)) - utf8Length(List.of("a"));
  }

  private int utf8Length(List<String> names) {
    String text = String.join("", parts.decoder().steps().apply(names));
    return text.getBytes(StandardCharsets.UTF_8).length;
  }

  @Override
  public SequencedMap<String, Integer> specialTokens() {
    return Collections.unmodifiableSequencedMap(specials);
  }

  @Override
  public OptionalInt bos() {
    return bos;
  }

  @Override
  public OptionalInt eos() {
    return ends.isEmpty() ? OptionalInt.empty() : OptionalInt.of(ends.iterator().next());
  }

  @Override
  public Set<Integer> ends() {
    return ends;
  }

  @Override
  public SequencedMap<String, byte[]> files() {
    return files;
  }
}
