package dev.javelin.train.data;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What stands beside a token file, in {@code FILE.bin.json}. Without it a file is nanoGPT's.
 *
 * @param wide whether ids take four bytes ({@code uint32}) rather than two ({@code uint16})
 * @param vocabSize ids are below it; 0 where unknown
 * @param tokens their number, by which a file cut short is known; 0 where unknown
 * @param tokenizer {@code byte}, {@code char} or the path of a directory, seen from the file's
 * @param separator what ends a document; null where unknown
 */
record TokenFileDescription(
    boolean wide,
    int vocabSize,
    long tokens,
    @Nullable String tokenizer,
    @Nullable Separator separator) {
  private static final TokenFileDescription NANO_GPT =
      new TokenFileDescription(false, 0, 0, null, null);
  private static final String UINT16 = "uint16";
  private static final String UINT32 = "uint32";

  /** Whether it stands beside the file, rather than being what is assumed without it. */
  boolean isGiven() {
    return this != NANO_GPT;
  }

  static Path path(Path tokenFile) {
    return tokenFile.resolveSibling(tokenFile.getFileName() + ".json");
  }

  /**
   * Of a token file.
   *
   * @throws dev.javelin.tensor.io.FileFormatException where it is damaged
   */
  static TokenFileDescription of(Path tokenFile) {
    Path path = path(tokenFile);
    if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
      return NANO_GPT;
    }
    JsonObject json = Json.read(path);
    String dtype = json.text("dtype");
    if (!dtype.equals(UINT16) && !dtype.equals(UINT32)) {
      throw json.error("dtype", "must be uint16 or uint32, got " + JsonObject.brief(dtype));
    }
    return new TokenFileDescription(
        dtype.equals(UINT32),
        json.integer("vocab_size", 0, Integer.MAX_VALUE, 0),
        tokens(json),
        tokenizer(json),
        separator(json));
  }

  private static long tokens(JsonObject json) {
    if (!json.has("tokens")) {
      return 0;
    }
    if (json.members().get("tokens") instanceof Long tokens && tokens >= 0) {
      return tokens;
    }
    throw json.error("tokens", "must be a whole number, 0 or more");
  }

  private static @Nullable String tokenizer(JsonObject json) {
    if (!json.has("tokenizer")) {
      return null;
    }
    try {
      return Path.of(json.text("tokenizer")).toString();
    } catch (InvalidPathException e) {
      throw json.error(
          "tokenizer",
          "must be byte, char or a path, got " + JsonObject.brief(json.text("tokenizer")));
    }
  }

  private static @Nullable Separator separator(JsonObject json) {
    if (!json.has("separator")) {
      return null;
    }
    try {
      return Separator.parse(json.text("separator"));
    } catch (IllegalArgumentException e) {
      throw json.error("separator", "is wrong: " + e.getMessage());
    }
  }

  String dtype() {
    return wide ? UINT32 : UINT16;
  }

  /** Writes it beside {@code tokenFile}. */
  void write(Path tokenFile) {
    Map<String, @Nullable Object> json = new LinkedHashMap<>();
    json.put("dtype", dtype());
    json.put("vocab_size", vocabSize);
    json.put("tokens", tokens);
    json.put("tokenizer", tokenizer);
    json.put("separator", separator == null ? null : separator.toString());
    AtomicFile.write(path(tokenFile), Json.write(json) + "\n");
  }
}
