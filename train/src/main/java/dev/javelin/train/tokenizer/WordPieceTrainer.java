package dev.javelin.train.tokenizer;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SequencedSet;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Learns a WordPiece vocabulary as BERT has it: words are cut into characters, those behind the
 * first with {@code ##} in front, and the most frequent pairs of neighbours become tokens, as in
 * Hugging Face's {@code WordPieceTrainer}. Ids: {@code [PAD] [UNK] [CLS] [SEP] [MASK]}, characters,
 * those that go on a word, then one per pair.
 *
 * @see <a href="https://arxiv.org/abs/1609.08144">Wu et al. 2016</a>
 */
public final class WordPieceTrainer {
  private static final String PREFIX = "##";
  private static final String UNKNOWN = "[UNK]";
  private static final List<String> SPECIALS =
      List.of("[PAD]", UNKNOWN, "[CLS]", "[SEP]", "[MASK]");
  private static final int LONGEST_WORD = 100;

  private WordPieceTrainer() {}

  /**
   * A tokenizer of at most {@code vocabSize} tokens; fewer where no pair is left.
   *
   * @param lowercase read upper case as lower case, and letters without their accents
   * @throws IllegalArgumentException where {@code vocabSize} has no room for the characters, or the
   *     texts are empty
   */
  public static Tokenizer train(Stream<String> texts, int vocabSize, boolean lowercase) {
    Map<String, @Nullable Object> root = TokenizerJsonWriter.root();
    root.put("normalizer", normalizer(lowercase));
    root.put("pre_tokenizer", Map.of("type", "BertPreTokenizer"));
    Map<String, long[]> words = TrainingWords.count(texts, root);
    MergeLearner learner =
        new MergeLearner(1, (left, right) -> left + right.substring(PREFIX.length()));
    SPECIALS.forEach(learner::token);
    SequencedSet<String> alphabet = alphabet(words.keySet());
    if (alphabet.size() + SPECIALS.size() > vocabSize) {
      throw new IllegalArgumentException(
          "vocabulary size must be at least %d (%d characters, first and following ones apart, and %d special tokens), got %d"
              .formatted(
                  alphabet.size() + SPECIALS.size(), alphabet.size(), SPECIALS.size(), vocabSize));
    }
    alphabet.forEach(learner::token);
    int[][] cut =
        words.keySet().stream()
            .map(word -> symbols(word).stream().mapToInt(learner::id).toArray())
            .toArray(int[][]::new);
    learner.learn(cut, words.values().stream().mapToLong(n -> n[0]).toArray(), vocabSize);

    Map<String, Integer> vocabulary = new LinkedHashMap<>();
    learner.tokens().forEach(token -> vocabulary.put(token, vocabulary.size()));
    Map<String, @Nullable Object> model = new LinkedHashMap<>();
    model.put("type", "WordPiece");
    model.put("unk_token", UNKNOWN);
    model.put("continuing_subword_prefix", PREFIX);
    model.put("max_input_chars_per_word", LONGEST_WORD);
    model.put("vocab", vocabulary);
    root.put("added_tokens", TokenizerJsonWriter.added(SPECIALS, vocabulary));
    root.put("post_processor", template(vocabulary));
    root.put("decoder", Map.of("type", "WordPiece", "prefix", PREFIX, "cleanup", true));
    root.put("model", model);
    Map<String, @Nullable Object> config = TokenizerJsonWriter.config();
    config.put("do_lower_case", lowercase);
    for (String special : SPECIALS) {
      String name = special.substring(1, special.length() - 1).toLowerCase(Locale.ROOT);
      config.put(name + "_token", special);
    }
    return TokenizerFiles.parse(TokenizerJsonWriter.files(root, config));
  }

  /** All characters, then those that occur behind a word's first. */
  private static SequencedSet<String> alphabet(Set<String> words) {
    SortedSet<String> first = new TreeSet<>();
    SortedSet<String> following = new TreeSet<>();
    for (String word : words) {
      for (String symbol : symbols(word)) {
        boolean isFirst = symbol.length() <= PREFIX.length() || !symbol.startsWith(PREFIX);
        first.add(isFirst ? symbol : symbol.substring(PREFIX.length()));
        if (!isFirst) {
          following.add(symbol);
        }
      }
    }
    SequencedSet<String> all = new LinkedHashSet<>(first);
    all.addAll(following);
    return all;
  }

  private static List<String> symbols(String word) {
    List<String> symbols = new ArrayList<>();
    word.codePoints()
        .forEach(c -> symbols.add((symbols.isEmpty() ? "" : PREFIX) + Character.toString(c)));
    return symbols;
  }

  private static Map<String, @Nullable Object> normalizer(boolean lowercase) {
    Map<String, @Nullable Object> json = new LinkedHashMap<>();
    json.put("type", "BertNormalizer");
    json.put("clean_text", true);
    json.put("handle_chinese_chars", true);
    json.put("strip_accents", null);
    json.put("lowercase", lowercase);
    return json;
  }

  /** {@code [CLS] A [SEP]}, {@code [CLS] A [SEP] B [SEP]}. */
  private static Map<String, @Nullable Object> template(Map<String, Integer> vocabulary) {
    Map<String, Object> specials = new LinkedHashMap<>();
    for (String name : List.of("[CLS]", "[SEP]")) {
      specials.put(
          name, Map.of("id", name, "ids", List.of(vocabulary.get(name)), "tokens", List.of(name)));
    }
    List<Object> single = List.of(special("[CLS]", 0), text("A", 0), special("[SEP]", 0));
    List<Object> pair = new ArrayList<>(single);
    pair.addAll(List.of(text("B", 1), special("[SEP]", 1)));
    Map<String, @Nullable Object> json = new LinkedHashMap<>();
    json.put("type", "TemplateProcessing");
    json.put("single", single);
    json.put("pair", pair);
    json.put("special_tokens", specials);
    return json;
  }

  private static Object special(String name, int type) {
    return Map.of("SpecialToken", Map.of("id", name, "type_id", type));
  }

  private static Object text(String name, int type) {
    return Map.of("Sequence", Map.of("id", name, "type_id", type));
  }
}
