package dev.javelin.train.tokenizer;

import dev.javelin.tensor.io.FileFormatException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.SequencedMap;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Finds a tokenizer in a directory and learns from the files beside it which tokens are its ends.
 */
final class TokenizerFiles {
  private static final String END_OF_TEXT = "<|endoftext|>";

  /** Further files that belong to a tokenizer and travel with it. */
  private static final List<String> COMPANIONS =
      List.of("tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja");

  private TokenizerFiles() {}

  static Tokenizer load(Path path) {
    if (!Files.exists(path)) {
      throw new FileFormatException(
          path, "does not exist", "name byte, char or a directory with tokenizer.json");
    }
    if (!Files.isDirectory(path)) {
      return single(path);
    }
    SequencedMap<String, byte[]> files = new LinkedHashMap<>();
    BpeTokenizer.Parts parts;
    if (Files.exists(path.resolve("tokenizer.json"))) {
      parts =
          TokenizerJson.read(path.resolve("tokenizer.json"), take(path, "tokenizer.json", files));
    } else if (Files.exists(path.resolve("vocab.json"))
        && Files.exists(path.resolve("merges.txt"))) {
      parts = gpt2(path, files);
    } else {
      boolean sentencePiece = Files.exists(path.resolve("tokenizer.model"));
      throw TokenizerJson.missing(path, sentencePiece ? "tokenizer.model" : "no tokenizer");
    }
    for (String name : COMPANIONS) {
      if (Files.exists(path.resolve(name))) {
        take(path, name, files);
      }
    }
    return tokenizer(parts, path, files);
  }

  private static Tokenizer single(Path file) {
    if (!file.toString().endsWith(".json")) {
      throw new FileFormatException(
          file, "is not a tokenizer", "name byte, char or a directory with tokenizer.json");
    }
    SequencedMap<String, byte[]> files = new LinkedHashMap<>();
    byte[] content = read(file);
    files.put("tokenizer.json", content);
    return tokenizer(TokenizerJson.read(file, content), null, files);
  }

  private static Tokenizer tokenizer(
      BpeTokenizer.Parts parts, @Nullable Path directory, SequencedMap<String, byte[]> files) {
    return new BpeTokenizer(
        parts,
        end("bos", directory, parts, files),
        end("eos", directory, parts, files),
        Collections.unmodifiableSequencedMap(files));
  }

  /** The tokenizer that {@code files} restore. */
  static Tokenizer parse(SequencedMap<String, byte[]> files) {
    Path name = Path.of("tokenizer.json");
    byte[] content = java.util.Objects.requireNonNull(files.get("tokenizer.json"));
    return tokenizer(TokenizerJson.read(name, content), null, files);
  }

  private static byte[] take(Path directory, String name, Map<String, byte[]> files) {
    byte[] content = read(directory.resolve(name));
    files.put(name, content);
    return content;
  }

  private static byte[] read(Path file) {
    try {
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new UncheckedIOException(file + ": cannot be read", e);
    }
  }

  /**
   * GPT-2's two files, which leave the rest to the reader: its words, its bytes, its one special.
   */
  private static BpeTokenizer.Parts gpt2(Path directory, SequencedMap<String, byte[]> files) {
    Path vocabFile = directory.resolve("vocab.json");
    Path mergesFile = directory.resolve("merges.txt");
    Map<String, Integer> vocabulary =
        TokenizerJson.vocabulary(Json.parse(vocabFile, take(directory, "vocab.json", files)));
    List<String> lines =
        new String(take(directory, "merges.txt", files), StandardCharsets.UTF_8)
            .lines()
            .filter(line -> !line.isEmpty() && !line.startsWith("#version"))
            .toList();
    LongIntMap ranks = new LongIntMap(lines.size());
    int[] merged = new int[lines.size()];
    for (int rank = 0; rank < merged.length; rank++) {
      String[] halves = lines.get(rank).split(" ", -1);
      Integer left = vocabulary.get(halves[0]);
      Integer right = halves.length == 2 ? vocabulary.get(halves[1]) : null;
      Integer joined = right == null ? null : vocabulary.get(halves[0] + halves[1]);
      if (left == null || right == null || joined == null) {
        throw new FileFormatException(
            mergesFile,
            "\"" + lines.get(rank) + "\" is not a pair of tokens of vocab.json",
            "take vocab.json and merges.txt of the same tokenizer");
      }
      ranks.put(BpeModel.pair(left, right), rank);
      merged[rank] = joined;
    }
    Integer end = vocabulary.get(END_OF_TEXT);
    List<AddedTokens.Token> added =
        end == null ? List.of() : List.of(AddedTokens.Token.special(end, END_OF_TEXT));
    return byteLevel(
        vocabulary, added, ranks, merged, PreTokenization.words(PreTokenization.GPT2), false);
  }

  /** A byte-level tokenizer without anything around its merges. */
  static BpeTokenizer.Parts byteLevel(
      Map<String, Integer> vocabulary,
      List<AddedTokens.Token> added,
      LongIntMap ranks,
      int[] merged,
      PreTokenization.Splitter words,
      boolean ignoreMerges) {
    return new BpeTokenizer.Parts(
        TokenizerJson.names(vocabulary, added),
        added,
        UnaryOperator.identity(),
        words,
        new BpeModel(
            vocabulary, ranks, merged, new BpeModel.Options(true, -1, false, false, ignoreMerges)),
        Decoding::byteLevel,
        List.of(),
        List.of());
  }

  /**
   * Which token begins or ends a text: {@code tokenizer_config.json} says it by name, {@code
   * config.json} by id, and {@code <|endoftext|>} says it itself.
   */
  private static OptionalInt end(
      String which, @Nullable Path directory, BpeTokenizer.Parts parts, Map<String, byte[]> files) {
    byte[] config = files.get("tokenizer_config.json");
    OptionalInt id = OptionalInt.empty();
    if (config != null) {
      Path name = Path.of("tokenizer_config.json");
      Path file = directory == null ? name : directory.resolve(name);
      id = named(Json.parse(file, config).find(which + "_token"), parts);
    }
    if (id.isEmpty() && directory != null && Files.exists(directory.resolve("config.json"))) {
      Path file = directory.resolve("config.json");
      id = numbered(Json.parse(file, read(file)).find(which + "_token_id"), parts);
    }
    int endOfText = parts.tokens().indexOf(END_OF_TEXT);
    return id.isPresent() || endOfText < 0 || which.equals("bos") ? id : OptionalInt.of(endOfText);
  }

  private static OptionalInt named(@Nullable Json token, BpeTokenizer.Parts parts) {
    if (token == null) {
      return OptionalInt.empty();
    }
    String name = token.node().isObject() ? token.get("content").text() : token.text();
    int id = parts.tokens().indexOf(name);
    if (id < 0) {
      throw token.bad("\"" + name + "\" is not in the vocabulary");
    }
    return OptionalInt.of(id);
  }

  /** The first of several. */
  private static OptionalInt numbered(@Nullable Json id, BpeTokenizer.Parts parts) {
    if (id != null && id.node().isArray()) {
      id = id.items().isEmpty() ? null : id.items().getFirst();
    }
    // A model's configuration may name ids that this tokenizer has not: GPT-2's 50256 on a cut one.
    return id == null || id.id() >= parts.tokens().size()
        ? OptionalInt.empty()
        : OptionalInt.of(id.id());
  }
}
