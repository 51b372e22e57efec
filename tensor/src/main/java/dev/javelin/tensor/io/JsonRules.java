package dev.javelin.tensor.io;

/**
 * What {@link Json} accepts of one kind of file, so that no file costs more memory, time or stack
 * than its kind is worth. The tree of a file takes at most about {@code 2 · maxBytes + 150 ·
 * maxValues} bytes.
 *
 * @param kind what the file is, for errors: {@code "a configuration"}
 * @param maxBytes of the whole text
 * @param maxDepth of objects and arrays in one another, from 1 to {@value #DEEPEST}
 * @param maxValues objects, arrays, strings, numbers and words together; keys do not count
 * @param maxTextBytes of one string, as written between its quotes
 * @param duplicates what a key that stands twice in an object means
 * @param surrogates what half a surrogate pair in a string, {@code \ud800}, means
 * @param numbers what a number becomes
 * @param remedy what errors advise
 */
public record JsonRules(
    String kind,
    long maxBytes,
    int maxDepth,
    long maxValues,
    int maxTextBytes,
    Duplicates duplicates,
    Surrogates surrogates,
    Numbers numbers,
    String remedy) {

  /** Parsing recurses; so many levels fit into the smallest stack of a thread. */
  public static final int DEEPEST = 512;

  /** A key that stands twice in one object. */
  public enum Duplicates {
    REFUSE,
    /** The last one counts, in the place of the first, as in Python. */
    LAST
  }

  /** A surrogate without its partner; UTF-8 has no bytes for it. */
  public enum Surrogates {
    REFUSE,
    /** U+FFFD takes its place. */
    REPLACE,
    /** It stays in the string, as in Python. */
    KEEP
  }

  /** What becomes of a number. */
  public enum Numbers {
    /** {@link Long} where it is written as an integer and fits, else {@link Double}. */
    BINARY,
    /** {@link JsonNumber}, which keeps the text. */
    EXACT
  }

  /** {@code config.json} and its like, and the states that runs write: 16 MiB. */
  public static final JsonRules CONFIG =
      new JsonRules(
          "a configuration",
          16 << 20,
          64,
          500_000,
          4 << 20,
          Duplicates.REFUSE,
          Surrogates.REFUSE,
          Numbers.BINARY,
          "the file is damaged or was edited by hand: repair or replace it");

  /** {@code model.safetensors.index.json}, a line for each tensor: 64 MiB. */
  public static final JsonRules INDEX =
      CONFIG.withKind("a shard index").withMaxBytes(64 << 20).withMaxValues(1_000_000);

  /** {@code tokenizer.json}: 128 MiB; the largest vocabularies in use take 35. */
  public static final JsonRules TOKENIZER =
      CONFIG
          .withKind("a tokenizer")
          .withMaxBytes(128 << 20)
          .withMaxValues(8_000_000)
          .withRemedy("take the file as it was published, or write it again");

  /** A line of JSONL: 256 MiB, nested up to {@value #DEEPEST} deep. */
  public static final JsonRules LINE =
      CONFIG
          .withKind("a line")
          .withMaxBytes(256 << 20)
          .withMaxDepth(DEEPEST)
          .withMaxValues(4_000_000)
          .withMaxTextBytes(256 << 20)
          .withRemedy("write one JSON object a line, in UTF-8");

  /**
   * @throws IllegalArgumentException if a limit is not positive or the depth beyond its own limit
   */
  public JsonRules {
    if (maxBytes < 1
        || maxBytes > Integer.MAX_VALUE - 8
        || maxDepth < 1
        || maxDepth > DEEPEST
        || maxValues < 1
        || maxTextBytes < 1) {
      throw new IllegalArgumentException(
          "json: limits must be positive, bytes below 2^31 and the depth at most %d; got %d bytes, depth %d, %d values, %d bytes of text"
              .formatted(DEEPEST, maxBytes, maxDepth, maxValues, maxTextBytes));
    }
  }

  public JsonRules withKind(String name) {
    return new JsonRules(
        name, maxBytes, maxDepth, maxValues, maxTextBytes, duplicates, surrogates, numbers, remedy);
  }

  public JsonRules withMaxBytes(long bytes) {
    return new JsonRules(
        kind, bytes, maxDepth, maxValues, maxTextBytes, duplicates, surrogates, numbers, remedy);
  }

  public JsonRules withMaxDepth(int depth) {
    return new JsonRules(
        kind, maxBytes, depth, maxValues, maxTextBytes, duplicates, surrogates, numbers, remedy);
  }

  public JsonRules withMaxValues(long values) {
    return new JsonRules(
        kind, maxBytes, maxDepth, values, maxTextBytes, duplicates, surrogates, numbers, remedy);
  }

  public JsonRules withMaxTextBytes(int bytes) {
    return new JsonRules(
        kind, maxBytes, maxDepth, maxValues, bytes, duplicates, surrogates, numbers, remedy);
  }

  public JsonRules with(Duplicates policy) {
    return new JsonRules(
        kind, maxBytes, maxDepth, maxValues, maxTextBytes, policy, surrogates, numbers, remedy);
  }

  public JsonRules with(Surrogates policy) {
    return new JsonRules(
        kind, maxBytes, maxDepth, maxValues, maxTextBytes, duplicates, policy, numbers, remedy);
  }

  public JsonRules with(Numbers policy) {
    return new JsonRules(
        kind, maxBytes, maxDepth, maxValues, maxTextBytes, duplicates, surrogates, policy, remedy);
  }

  public JsonRules withRemedy(String advice) {
    return new JsonRules(
        kind, maxBytes, maxDepth, maxValues, maxTextBytes, duplicates, surrogates, numbers, advice);
  }
}
