package dev.javelin.train.tokenizer;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.train.tokenizer.oniguruma.OnigPattern;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalInt;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Reads tiktoken's rank files: lines {@code base64(token) id}. There are no merges; two neighbours
 * are joined when their bytes together are a token, the smallest id first. Its split pattern and
 * special tokens stand in tiktoken's code, so the caller brings them.
 *
 * @see <a href="https://github.com/openai/tiktoken">tiktoken</a>
 */
public final class TiktokenRanks {
  private static final String REMEDY = "take the .tiktoken file as it was published";

  private static final String BEGIN_OF_TEXT = "<|begin_of_text|>";

  /** In bytes; a token is cut in two at every place, which costs the square of its length. */
  private static final int LONGEST_TOKEN = 1024;

  /** In bytes. */
  private static final long LARGEST_FILE = 128 << 20;

  private TiktokenRanks() {}

  /**
   * @param pattern tiktoken's split pattern; in the syntax of Rust's fancy-regex
   * @param specials special tokens and their ids; {@code <|endoftext|>} ends a text
   */
  public static Tokenizer load(Path file, String pattern, SequencedMap<String, Integer> specials) {
    Map<String, Integer> vocabulary = vocabulary(file);
    LongIntMap ranks = new LongIntMap(4 * vocabulary.size());
    int size = 0;
    for (int id : vocabulary.values()) {
      size = Math.max(size, id + 1);
    }
    int[] merged = new int[size];
    vocabulary.forEach(
        (token, id) -> {
          merged[id] = id;
          for (int cut = 1; cut < token.length(); cut++) {
            Integer left = vocabulary.get(token.substring(0, cut));
            Integer right = vocabulary.get(token.substring(cut));
            if (left != null && right != null) {
              ranks.put(PairJoiner.pair(left, right), id);
            }
          }
        });
    List<AddedTokens.Token> added = new ArrayList<>();
    specials.forEach((name, id) -> added.add(AddedTokens.Token.special(id, name)));
    OnigPattern words = OnigPattern.compile(pattern, OnigPattern.Syntax.RUST);
    @Nullable Integer end = specials.get("<|endoftext|>");
    BpeModel model =
        new BpeModel(
            vocabulary,
            new PairJoiner(ranks, merged, null),
            new BpeModel.Options(true, -1, false, false, true, "", ""));
    int missing = model.missingByte();
    if (missing >= 0) {
      throw new FileFormatException(
          file, String.format("has no token for byte 0x%02X", missing), REMEDY);
    }
    TokenNames names = new TokenNames(vocabulary);
    added.forEach(token -> names.add(token, file));
    return new PipelineTokenizer(
        new PipelineTokenizer.Parts(
            names.list(),
            added,
            UnaryOperator.identity(),
            PreTokenization.words(words),
            model,
            Decoding.BYTES,
            Template.NONE),
        OptionalInt.empty(),
        end == null ? Set.of() : Set.of(end),
        Collections.unmodifiableSequencedMap(new LinkedHashMap<>()));
  }

  /** Whether a file's content begins as one of ranks does: base64, a space, a number. */
  static boolean is(byte[] content) {
    int at = 0;
    while (at < content.length && at < LONGEST_TOKEN && content[at] > ' ') {
      at++;
    }
    return at > 0
        && at + 1 < content.length
        && content[at] == ' '
        && Character.isDigit(content[at + 1]);
  }

  /** The encoding of a published file, by its name; null where there is none of that name. */
  static @Nullable TiktokenEncoding encoding(Path file) {
    for (TiktokenEncoding encoding : TiktokenEncoding.values()) {
      if (file.endsWith(encoding.fileName())) {
        return encoding;
      }
    }
    return null;
  }

  /**
   * The {@code tokenizer.json} of a published file; of the merges that make one token that of the
   * smallest ids comes first, as transformers converts it.
   */
  static byte[] tokenizerJson(Path file, byte[] content) {
    TiktokenEncoding encoding = encoding(file);
    if (encoding == null) {
      throw new FileFormatException(
          file,
          "is a rank file whose pattern and special tokens are not known",
          "supported names: "
              + Arrays.stream(TiktokenEncoding.values())
                  .map(TiktokenEncoding::fileName)
                  .collect(Collectors.joining(", ")));
    }
    Map<String, Integer> vocabulary =
        vocabulary(file, new String(content, StandardCharsets.ISO_8859_1));
    int largest = Collections.max(vocabulary.values());
    if (largest >= Collections.min(encoding.specials().values())
            && encoding != TiktokenEncoding.P50K
        || encoding == TiktokenEncoding.LLAMA3 && vocabulary.size() != encoding.ranks()) {
      throw new FileFormatException(
          file,
          "has %d ranks; %s has %d"
              .formatted(
                  vocabulary.size(), encoding.name().toLowerCase(Locale.ROOT), encoding.ranks()),
          REMEDY);
    }
    List<Map.Entry<String, Integer>> tokens = new ArrayList<>(vocabulary.entrySet());
    tokens.sort(Map.Entry.comparingByValue());
    SequencedMap<String, Integer> sorted = new LinkedHashMap<>();
    List<List<String>> merges = new ArrayList<>();
    for (Map.Entry<String, Integer> token : tokens) {
      sorted.put(token.getKey(), token.getValue());
      merges.addAll(merges(token.getKey(), vocabulary));
    }
    DerivedJson json = new DerivedJson();
    encoding.specials().forEach(json::special);
    if (encoding == TiktokenEncoding.LLAMA3) {
      json.with(
          "post_processor",
          DerivedJson.template(
              BEGIN_OF_TEXT + " $A",
              BEGIN_OF_TEXT + " $A " + BEGIN_OF_TEXT + ":1 $B:1",
              Map.of(BEGIN_OF_TEXT, encoding.ranks())));
    }
    var bytes =
        DerivedJson.part(
            "ByteLevel", "add_prefix_space", false, "trim_offsets", true, "use_regex", false);
    var split =
        DerivedJson.part(
            "Split",
            "pattern",
            Map.of("Regex", encoding.words()),
            "behavior",
            "Isolated",
            "invert",
            false);
    return json.with(
            "normalizer", encoding == TiktokenEncoding.QWEN ? DerivedJson.part("NFC") : null)
        .with("pre_tokenizer", DerivedJson.part("Sequence", "pretokenizers", List.of(split, bytes)))
        .with("decoder", bytes)
        .with(
            "model",
            DerivedJson.part("BPE", "ignore_merges", true, "vocab", sorted, "merges", merges))
        .bytes();
  }

  /** The {@code tokenizer_config.json} of a published file. */
  static Map<String, @Nullable Object> config(Path file) {
    Map<String, @Nullable Object> config = new LinkedHashMap<>();
    config.put("tokenizer_class", "PreTrainedTokenizerFast");
    TiktokenEncoding encoding = encoding(file);
    if (encoding != null) {
      config.put("eos_token", encoding.specials().firstEntry().getKey());
    }
    if (encoding == TiktokenEncoding.LLAMA3) {
      config.put("bos_token", BEGIN_OF_TEXT);
    }
    return config;
  }

  private static List<List<String>> merges(String token, Map<String, Integer> vocabulary) {
    List<List<String>> merges = new ArrayList<>();
    for (int cut = 1; cut < token.length(); cut++) {
      String left = token.substring(0, cut);
      String right = token.substring(cut);
      if (vocabulary.containsKey(left) && vocabulary.containsKey(right)) {
        merges.add(List.of(left, right));
      }
    }
    merges.sort(Comparator.comparingInt(pair -> vocabulary.getOrDefault(pair.getFirst(), 0)));
    return merges;
  }

  private static Map<String, Integer> vocabulary(Path file) {
    try {
      if (Files.size(file) > LARGEST_FILE) {
        throw new FileFormatException(file, "is larger than " + LARGEST_FILE + " bytes", REMEDY);
      }
      return vocabulary(file, Files.readString(file, StandardCharsets.US_ASCII));
    } catch (java.nio.charset.CharacterCodingException e) {
      throw new FileFormatException(file, "is not a tiktoken rank file", REMEDY, e);
    } catch (IOException e) {
      throw new UncheckedIOException(file + ": cannot be read", e);
    }
  }

  private static Map<String, Integer> vocabulary(Path file, String content) {
    List<String> lines = content.lines().toList();
    Map<String, Integer> vocabulary = new HashMap<>();
    Set<Integer> ids = new HashSet<>();
    for (int i = 0; i < lines.size(); i++) {
      String[] fields = lines.get(i).split(" ", -1);
      try {
        if (fields.length == 2) {
          byte[] token = Base64.getDecoder().decode(fields[0]);
          int id = Integer.parseInt(fields[1]);
          if (id >= 0
              && id <= TokenizerJson.LARGEST_ID
              && token.length > 0
              && token.length <= LONGEST_TOKEN
              && ids.add(id)
              && vocabulary.put(ByteSymbols.of(token), id) == null) {
            continue;
          }
        }
      } catch (IllegalArgumentException e) {
        throw bad(file, i, e);
      }
      throw bad(file, i, null);
    }
    if (vocabulary.isEmpty()) {
      throw new FileFormatException(file, "has no tokens", REMEDY);
    }
    return vocabulary;
  }

  private static FileFormatException bad(Path file, int line, @Nullable Exception cause) {
    String what = "line " + (line + 1) + " is not a base64 token and a rank, each new";
    return cause == null
        ? new FileFormatException(file, what, REMEDY)
        : new FileFormatException(file, what, REMEDY, cause);
  }
}
