package dev.javelin.train.tokenizer;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.SequencedSet;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Learns a Unigram vocabulary: pieces with log-probabilities, of which a text gets the most likely
 * cut. A space is written {@code ▁} and begins a word; nothing is normalised, and a character that
 * is not in the vocabulary is spelled in bytes, so that decoding gives back every text that has no
 * {@code ▁} of its own. Printable ASCII is always in it. Ids: special tokens, {@code <unk>}, 256
 * bytes, then pieces, the most likely first.
 *
 * @see <a href="https://arxiv.org/abs/1804.10959">Kudo 2018</a>
 */
public final class UnigramTrainer {
  private static final String UNKNOWN = "<unk>";
  private static final String SPACE = "▁";
  private static final int BYTES = 256;

  /** The score of names, which are no cut of a text that spells them: its characters score more. */
  private static final double NEVER = -1e4;

  private UnigramTrainer() {}

  /**
   * A tokenizer of at most {@code vocabSize} tokens; fewer where the texts have no more pieces.
   *
   * @param specials special tokens, ids from 0; the first ends a text
   * @throws IllegalArgumentException where {@code vocabSize} has no room for bytes, specials and
   *     the characters of the texts, or the texts are empty
   */
  public static Tokenizer train(Stream<String> texts, int vocabSize, List<String> specials) {
    SequencedSet<String> named = new LinkedHashSet<>(specials);
    named.add(UNKNOWN);
    int fixed = named.size() + BYTES;
    if (vocabSize <= fixed) {
      throw new IllegalArgumentException(
          "vocabulary size must be more than %d (%d bytes and %d special tokens), got %d"
              .formatted(fixed, BYTES, named.size(), vocabSize));
    }
    Map<String, @Nullable Object> root = TokenizerJsonWriter.root();
    Map<String, @Nullable Object> metaspace = new LinkedHashMap<>();
    metaspace.put("type", "Metaspace");
    metaspace.put("replacement", SPACE);
    metaspace.put("prepend_scheme", "never");
    metaspace.put("split", true);
    root.put("pre_tokenizer", metaspace);
    Set<String> characters = new TreeSet<>();
    IntStream.concat(IntStream.rangeClosed(' ' + 1, '~'), String.join("", named).codePoints())
        .forEach(c -> characters.add(Character.toString(c)));
    List<UnigramLearner.Piece> pieces =
        UnigramLearner.learn(TrainingWords.count(texts, root), characters, vocabSize - fixed);

    List<Object> vocabulary = new ArrayList<>();
    Map<String, Integer> ids = new LinkedHashMap<>();
    for (String name : named) {
      ids.put(name, vocabulary.size());
      vocabulary.add(List.of(name, NEVER));
    }
    for (int b = 0; b < BYTES; b++) {
      vocabulary.add(List.of(Model.byteToken(b), NEVER));
    }
    pieces.forEach(p -> vocabulary.add(List.of(p.text(), p.score())));
    Map<String, @Nullable Object> model = new LinkedHashMap<>();
    model.put("type", "Unigram");
    model.put("unk_id", ids.get(UNKNOWN));
    model.put("vocab", vocabulary);
    model.put("byte_fallback", true);
    root.put("added_tokens", TokenizerJsonWriter.added(List.copyOf(named), ids));
    root.put(
        "decoder",
        Map.of(
            "type",
            "Sequence",
            "decoders",
            List.of(
                Map.of("type", "Replace", "pattern", Map.of("String", SPACE), "content", " "),
                Map.of("type", "ByteFallback"),
                Map.of("type", "Fuse"))));
    root.put("model", model);
    Map<String, @Nullable Object> config = TokenizerJsonWriter.config();
    config.put("unk_token", UNKNOWN);
    if (!specials.isEmpty()) {
      config.put("eos_token", specials.getFirst());
    }
    return TokenizerFiles.parse(TokenizerJsonWriter.files(root, config));
  }
}
