package dev.javelin.train.data;

import dev.javelin.tensor.io.JsonObject;
import dev.javelin.train.tokenizer.Tokenizer;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Which tokens a run learns from: what a checkpoint saves and a resumed run compares. Text and the
 * token file made of it have the same identity; the place of a file is not part of it.
 *
 * @param name what the data are called, for messages; not compared
 * @param tokens their number
 * @param fingerprint CRC-32C of the ids: of all where there are at most {@value #WHOLE}, else of
 *     {@value #BLOCKS} blocks of {@value #BLOCK} at equal distances, the first and the last among
 *     them; of examples also which of those ids are learned, and where each example begins
 * @param separator what ends a document
 * @param tokenizer size and CRC-32C of the vocabulary, {@code none} where there is no tokenizer
 */
public record DataIdentity(
    String name, long tokens, String fingerprint, Separator separator, String tokenizer) {
  private static final int BLOCK = 1 << 14;
  private static final int BLOCKS = 64;
  private static final int WHOLE = BLOCK * BLOCKS;

  static DataIdentity of(TokenSource source, Separator separator, @Nullable Tokenizer tokenizer) {
    String vocabulary = tokenizer == null ? "none" : vocabulary(tokenizer);
    return new DataIdentity(
        source.name(), source.size(), fingerprint(source), separator, vocabulary);
  }

  /** Reads a million ids at most, wherever they lie, and where all examples begin. */
  private static String fingerprint(TokenSource source) {
    long size = source.size();
    int[] ids = new int[(int) Math.min(BLOCK, size)];
    boolean[] learned = new boolean[ids.length];
    ByteBuffer bytes = ByteBuffer.allocate(4 * Math.max(2, ids.length));
    CRC32C sum = new CRC32C();
    long blocks = Math.min(BLOCKS, (size + BLOCK - 1) / BLOCK);
    for (long block = 0; block < blocks; block++) {
      long from = size <= WHOLE ? block * BLOCK : (size - BLOCK) / (BLOCKS - 1) * block;
      from = block == BLOCKS - 1 ? Math.max(0, size - BLOCK) : from;
      int count = (int) Math.min(BLOCK, size - from);
      source.read(from, ids, count);
      bytes.asIntBuffer().put(ids, 0, count);
      sum.update(bytes.array(), 0, 4 * count);
      if (!source.isText()) {
        source.readLearned(from, learned, count);
        for (int i = 0; i < count; i++) {
          sum.update(learned[i] ? 1 : 0);
        }
      }
    }
    for (long e = 1; !source.isText() && e < source.examples(); e++) {
      bytes.putLong(0, source.exampleStart(e));
      sum.update(bytes.array(), 0, Long.BYTES);
    }
    return hex(sum);
  }

  public DataIdentity withTokenizer(String vocabulary) {
    return new DataIdentity(name, tokens, fingerprint, separator, vocabulary);
  }

  /** A tokenizer by what its ids stand for, so that it survives a way through files. */
  public static String vocabulary(Tokenizer tokenizer) {
    CRC32C sum = new CRC32C();
    int size = tokenizer.vocabSize();
    for (int id = 0; id < size; id++) {
      sum.update(tokenizer.decode(id).getBytes(StandardCharsets.UTF_8));
      sum.update(0);
    }
    return size + " tokens, " + hex(sum);
  }

  private static String hex(CRC32C sum) {
    return String.format("%08x", sum.getValue());
  }

  /**
   * What differs from the data that a checkpoint was trained on, a clause each: empty where a run
   * can go on as if it had never stopped.
   */
  public List<String> differences(DataIdentity saved) {
    List<String> all = new ArrayList<>();
    if (!tokenizer.equals(saved.tokenizer)) {
      all.add("the tokenizer differs (%s; was %s)".formatted(tokenizer, saved.tokenizer));
    }
    if (!separator.equals(saved.separator)) {
      all.add("documents are ended by %s (was %s)".formatted(separator, saved.separator));
    }
    if (tokens != saved.tokens) {
      all.add(
          "%s holds %d tokens (the run began with %d of %s)"
              .formatted(name, tokens, saved.tokens, saved.name));
    } else if (!fingerprint.equals(saved.fingerprint)) {
      all.add("%s holds other tokens than %s did".formatted(name, saved.name));
    }
    return List.copyOf(all);
  }

  /** The form in a JSON file, for {@link dev.javelin.tensor.io.Json#write}. */
  public Map<String, Object> json() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("name", name);
    json.put("tokens", tokens);
    json.put("fingerprint", fingerprint);
    json.put("separator", separator.toString());
    json.put("tokenizer", tokenizer);
    return json;
  }

  /**
   * Reads {@link #json}'s form.
   *
   * @throws dev.javelin.tensor.io.FileFormatException for a key that is missing or of another form
   */
  public static DataIdentity of(JsonObject json) {
    if (!(json.members().get("tokens") instanceof Long tokens) || tokens < 0) {
      throw json.error("tokens", "must be a whole number, 0 or more");
    }
    Separator separator;
    try {
      separator = Separator.parse(json.text("separator"));
    } catch (IllegalArgumentException e) {
      throw json.error("separator", "is wrong: " + e.getMessage());
    }
    return new DataIdentity(
        json.text("name"), tokens, json.text("fingerprint"), separator, json.text("tokenizer"));
  }
}
