package dev.javelin.train.tokenizer;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.io.JsonRules;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.SequencedMap;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Finds a tokenizer in a directory and reads what the files beside it say: class, added and special
 * tokens, which tokens are its ends.
 */
final class TokenizerFiles {
  private static final int MOST_TEMPLATES = 100;
  private static final String END_OF_TEXT = "<|endoftext|>";

  /** Further files that belong to a tokenizer and travel with it. */
  private static final List<String> COMPANIONS =
      List.of(
          "tokenizer_config.json",
          "special_tokens_map.json",
          "added_tokens.json",
          "chat_template.jinja",
          "chat_template.json");

  private TokenizerFiles() {}

  static Tokenizer load(Path path) {
    if (!Files.exists(path)) {
      throw new FileFormatException(
          path, "does not exist", "name byte, char or a directory with tokenizer.json");
    }
    SequencedMap<String, byte[]> files = new LinkedHashMap<>();
    if (!Files.isDirectory(path)) {
      String name = formName(path);
      files.put(name, read(path));
      Path named = path.getFileName();
      return tokenizer(
          name.equals("tokenizer.json") && named != null
              ? path
              : path.resolveSibling("tokenizer.json"),
          files,
          null,
          path);
    }
    for (String name : form(path)) {
      take(path, name, files);
    }
    for (String name : COMPANIONS) {
      if (Files.exists(path.resolve(name))) {
        take(path, name, files);
      }
    }
    takeTemplates(path, files);
    Path model = path.resolve("config.json");
    return tokenizer(
        path.resolve("tokenizer.json"), files, Files.exists(model) ? Json.read(model) : null, path);
  }

  /** The name that a file alone has in a directory of its form. */
  private static String formName(Path file) {
    String name = String.valueOf(file.getFileName());
    if (name.endsWith(".json")) {
      return "tokenizer.json";
    }
    if (name.endsWith(".tiktoken")) {
      return name;
    }
    if (name.endsWith(".model")) {
      return "tokenizer.model";
    }
    if (name.equals(VocabText.NAME)) {
      return name;
    }
    throw new FileFormatException(
        file, "is not a tokenizer", "name byte, char or a directory with tokenizer.json");
  }

  /** The files of the first form that the directory has. */
  private static List<String> form(Path directory) {
    List<List<String>> forms = new ArrayList<>();
    forms.add(List.of("tokenizer.json"));
    forms.add(List.of("vocab.json", "merges.txt"));
    SentencePiece.NAMES.forEach(name -> forms.add(List.of(name)));
    forms.add(List.of(VocabText.NAME));
    for (TiktokenEncoding encoding : TiktokenEncoding.values()) {
      forms.add(List.of(encoding.fileName()));
    }
    for (List<String> form : forms) {
      if (form.stream().allMatch(name -> Files.exists(directory.resolve(name)))) {
        return form;
      }
    }
    throw new FileFormatException(
        directory,
        "holds no tokenizer: none of tokenizer.json, vocab.json with merges.txt, tokenizer.model,"
            + " vocab.txt, cl100k_base.tiktoken and its like",
        "write one with transformers' save_pretrained, or name byte, char or another directory");
  }

  /** The tokenizer that {@code files} restore. */
  static Tokenizer parse(SequencedMap<String, byte[]> files) {
    Path name = Path.of("tokenizer.json");
    return tokenizer(name, files, null, name);
  }

  /**
   * @param file the name of tokenizer.json, for errors; the others stand beside it
   * @param model the model's configuration, where there is one
   */
  private static Tokenizer tokenizer(
      Path file, SequencedMap<String, byte[]> files, @Nullable JsonObject model, Path where) {
    ranks(file, files);
    AddedTokensFiles beside =
        new AddedTokensFiles(
            json(file, "tokenizer_config.json", files),
            json(file, "added_tokens.json", files),
            json(file, "special_tokens_map.json", files));
    PipelineTokenizer.Parts parts = parts(file, files, beside, model, where);
    return new PipelineTokenizer(
        parts,
        first(ends("bos", beside, model, parts)),
        ends("eos", beside, model, parts),
        Collections.unmodifiableSequencedMap(files));
  }

  private static PipelineTokenizer.Parts parts(
      Path file,
      SequencedMap<String, byte[]> files,
      AddedTokensFiles beside,
      @Nullable JsonObject model,
      Path where) {
    byte[] content = files.get("tokenizer.json");
    if (content != null) {
      return TokenizerJson.read(file, content, beside);
    }
    for (String name : List.copyOf(files.keySet())) {
      Path path = file.resolveSibling(name);
      byte[] bytes = files.getOrDefault(name, new byte[0]);
      if (name.equals(VocabText.NAME)) {
        byte[] json = VocabText.tokenizerJson(path, bytes, beside, model);
        PipelineTokenizer.Parts parts = TokenizerJson.read(file, json, beside);
        sayClass(files, beside.config() == null ? "BertTokenizer" : null);
        files.put("tokenizer.json", json);
        return parts;
      }
      if (SentencePiece.NAMES.contains(name)) {
        sayClass(files, SentencePiece.className(beside.config(), model));
        return SentencePiece.read(path, bytes, beside, model);
      }
    }
    VocabAndMerges.Kind kind = VocabAndMerges.kind(where, beside.config(), model);
    sayClass(files, beside.config() == null ? kind.className() : null);
    return VocabAndMerges.read(file, files, kind, beside);
  }

  /** Adds a tokenizer.json where the files are tiktoken's ranks, and which tokens are its ends. */
  private static void ranks(Path file, SequencedMap<String, byte[]> files) {
    for (String name : List.copyOf(files.keySet())) {
      byte[] content = files.getOrDefault(name, new byte[0]);
      if (!files.containsKey("tokenizer.json")
          && (name.endsWith(".tiktoken") || name.endsWith(".model") && TiktokenRanks.is(content))) {
        files.put(
            "tokenizer.json", TiktokenRanks.tokenizerJson(file.resolveSibling(name), content));
        files.putIfAbsent(
            "tokenizer_config.json",
            TokenizerJsonWriter.bytes(TiktokenRanks.config(file.resolveSibling(name))));
      }
    }
  }

  /** So that the files alone say it too. */
  private static void sayClass(SequencedMap<String, byte[]> files, @Nullable String className) {
    if (className != null) {
      files.put(
          "tokenizer_config.json", TokenizerJsonWriter.bytes(Map.of("tokenizer_class", className)));
    }
  }

  private static @Nullable JsonObject json(Path file, String name, Map<String, byte[]> files) {
    byte[] content = files.get(name);
    return content == null
        ? null
        : Json.parse(
            file.resolveSibling(name),
            ByteBuffer.wrap(content),
            JsonRules.TOKENIZER.withKind("a tokenizer's configuration").withMaxBytes(16 << 20));
  }

  /** Chat templates beside the default one. */
  private static void takeTemplates(Path directory, SequencedMap<String, byte[]> files) {
    Path folder = directory.resolve("additional_chat_templates");
    if (!Files.isDirectory(folder)) {
      return;
    }
    try (Stream<Path> all = Files.list(folder)) {
      all.map(file -> folder.getFileName() + "/" + file.getFileName())
          .filter(name -> name.endsWith(".jinja"))
          .sorted()
          .limit(MOST_TEMPLATES)
          .forEach(name -> take(directory, name, files));
    } catch (IOException e) {
      throw new UncheckedIOException(folder + ": cannot be read", e);
    }
  }

  private static void take(Path directory, String name, Map<String, byte[]> files) {
    files.put(name, read(directory.resolve(name)));
  }

  private static byte[] read(Path file) {
    long most = JsonRules.TOKENIZER.maxBytes();
    try (InputStream in = Files.newInputStream(file)) {
      byte[] content = in.readNBytes((int) most + 1);
      if (content.length > most) {
        throw new FileFormatException(
            file,
            "is larger than " + most + " bytes, too much for a tokenizer",
            JsonRules.TOKENIZER.remedy());
      }
      return content;
    } catch (IOException e) {
      throw new UncheckedIOException(file + ": cannot be read", e);
    }
  }

  private static OptionalInt first(Set<Integer> ids) {
    return ids.isEmpty() ? OptionalInt.empty() : OptionalInt.of(ids.iterator().next());
  }

  /**
   * Which tokens begin or end a text: {@code special_tokens_map.json} and {@code
   * tokenizer_config.json} say it by name, where they do not {@code config.json} by id, and {@code
   * <|endoftext|>} says it itself.
   */
  private static Set<Integer> ends(
      String which,
      AddedTokensFiles beside,
      @Nullable JsonObject model,
      PipelineTokenizer.Parts parts) {
    Set<Integer> ids = new LinkedHashSet<>();
    for (String name : beside.named(which + "_token")) {
      ids.add(parts.tokens().indexOf(name));
    }
    if (ids.isEmpty() && model != null) {
      numbered(model, which + "_token_id", parts, ids);
    }
    int endOfText = parts.tokens().indexOf(END_OF_TEXT);
    if (ids.isEmpty() && endOfText >= 0 && which.equals("eos")) {
      ids.add(endOfText);
    }
    return ids;
  }

  /**
   * A model's configuration may name ids that this tokenizer has not: GPT-2's 50256 on a cut one.
   */
  private static void numbered(
      JsonObject model, String key, PipelineTokenizer.Parts parts, Set<Integer> ids) {
    Object value = model.members().get(key);
    for (Object id : value instanceof List<?> list ? list : Collections.singletonList(value)) {
      if (id != null && !(id instanceof Long n && n >= 0)) {
        throw model.error(key, "must be a token id, got " + JsonObject.brief(value));
      }
      if (id instanceof Long n && n < parts.tokens().size()) {
        ids.add(n.intValue());
      }
    }
  }
}
