package dev.javelin.train;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.io.JsonRules;
import dev.javelin.train.chat.TemplateFiles;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.SequencedSet;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What a model's directory says beside its weights, its configuration and its tokenizer: how to
 * generate, how a chat is written, which tokens are special. It travels into every directory that
 * is saved from the model.
 *
 * @param files by name, as they are
 * @param endTokens those that {@code generation_config.json} names
 */
public record Companions(SequencedMap<String, byte[]> files, SequencedSet<Integer> endTokens) {
  static final String GENERATION = "generation_config.json";
  public static final Companions NONE =
      new Companions(Collections.emptySortedMap(), Collections.emptySortedSet());

  private static final List<String> NAMES =
      List.of(
          GENERATION,
          "chat_template.jinja",
          "chat_template.json",
          "special_tokens_map.json",
          "added_tokens.json");

  private static final int MOST_TEMPLATES = 100;
  private static final List<String> VOCABULARIES = List.of("tokenizer.json", "vocab.json");

  /**
   * The files of a directory; none where the model is used with another tokenizer than the
   * directory's, whose ids they would not mean.
   *
   * @throws FileFormatException where one is damaged or too large
   */
  static Companions read(Path directory, @Nullable Tokenizer tokenizer) {
    if (tokenizer != null && isAnother(tokenizer, directory)) {
      return NONE;
    }
    SequencedMap<String, byte[]> files = new LinkedHashMap<>();
    for (String name : NAMES) {
      Path file = directory.resolve(name);
      if (Files.isRegularFile(file)) {
        files.put(name, bytes(file));
      }
    }
    templates(directory, files);
    byte[] generation = files.get(GENERATION);
    SequencedSet<Integer> ends =
        generation == null
            ? Collections.emptySortedSet()
            : endTokens(Json.parse(directory.resolve(GENERATION), ByteBuffer.wrap(generation)));
    return new Companions(files, ends);
  }

  /** Writes files by name, each whole or not at all. */
  static void write(Path directory, Map<String, byte[]> files) {
    try {
      if (files.keySet().stream().anyMatch(name -> name.startsWith(TemplateFiles.ADDITIONAL))) {
        Files.createDirectories(directory.resolve(TemplateFiles.ADDITIONAL));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(directory + ": cannot be made", e);
    }
    files.forEach(
        (name, bytes) ->
            AtomicFile.write(
                directory.resolve(name),
                channel -> {
                  ByteBuffer rest = ByteBuffer.wrap(bytes);
                  while (rest.hasRemaining()) {
                    channel.write(rest);
                  }
                }));
  }

  /** These, and what {@code base} has besides. */
  Companions over(Companions base) {
    SequencedMap<String, byte[]> all = new LinkedHashMap<>(base.files);
    all.putAll(files);
    return new Companions(all, files.containsKey(GENERATION) ? endTokens : base.endTokens);
  }

  /** Chat templates beside the default one. */
  private static void templates(Path directory, SequencedMap<String, byte[]> files) {
    Path folder = directory.resolve(TemplateFiles.ADDITIONAL);
    if (!Files.isDirectory(folder)) {
      return;
    }
    try (Stream<Path> all = Files.list(folder)) {
      all.filter(file -> file.toString().endsWith(".jinja"))
          .sorted()
          .limit(MOST_TEMPLATES)
          .forEach(file -> files.put(TemplateFiles.ADDITIONAL + file.getFileName(), bytes(file)));
    } catch (IOException e) {
      throw new FileFormatException(
          folder, "cannot be read (" + e + ")", "check its permissions", e);
    }
  }

  private static boolean isAnother(Tokenizer tokenizer, Path directory) {
    Map<String, byte[]> own = tokenizer.files();
    for (String name : VOCABULARIES) {
      Path file = directory.resolve(name);
      if (Files.isRegularFile(file) && LanguageModel.hasTokenizer(directory)) {
        return !Arrays.equals(own.get(name), bytes(file));
      }
    }
    return false;
  }

  private static byte[] bytes(Path file) {
    int most = (int) JsonRules.TOKENIZER.maxBytes();
    try (InputStream in = Files.newInputStream(file)) {
      byte[] bytes = in.readNBytes(most + 1);
      if (bytes.length <= most) {
        return bytes;
      }
    } catch (IOException e) {
      throw new FileFormatException(file, "cannot be read (" + e + ")", "check its permissions", e);
    }
    throw new FileFormatException(
        file, "is larger than " + most + " bytes", "replace it by the file that was published");
  }

  private static SequencedSet<Integer> endTokens(JsonObject json) {
    SequencedSet<Integer> ids = new LinkedHashSet<>();
    addIds(ids, json.members().get("eos_token_id"), json);
    return ids;
  }

  private static void addIds(SequencedSet<Integer> ids, @Nullable Object value, JsonObject json) {
    for (Object id : value instanceof List<?> list ? list : Arrays.asList(value)) {
      if (id instanceof Long n && n >= -1 && n <= Integer.MAX_VALUE) {
        ids.add(n.intValue());
      } else if (id != null || value instanceof List<?>) {
        throw json.error(
            "eos_token_id", "must be a token id or a list of them, got " + JsonObject.brief(value));
      }
    }
  }
}
