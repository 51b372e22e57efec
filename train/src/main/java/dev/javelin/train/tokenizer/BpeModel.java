package dev.javelin.train.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Byte-pair encoding of one word: start from its characters (or bytes), then join neighbours. It
 * takes O(n log n), so a word may be a whole text.
 *
 * @see <a href="https://arxiv.org/abs/1508.07909">Sennrich, Haddow, Birch 2016</a>
 */
final class BpeModel implements Model {
  /** Longer words are rarely met twice. */
  private static final int CACHED_LENGTH = 32;

  private static final int CACHE_SIZE = 1 << 16;

  /**
   * How a word becomes its first symbols.
   *
   * @param byteLevel symbols are {@link ByteSymbols} of the UTF-8 bytes, otherwise characters
   * @param unknown id for a character without a token, or -1
   * @param fuseUnknown one id for a run of unknown characters
   * @param byteFallback spell unknown characters with {@code <0x00>…<0xFF>}
   * @param ignoreMerges a word that is a token is that token, whatever the merges say
   * @param prefix of every character but a word's first
   * @param suffix of a word's last character
   */
  record Options(
      boolean byteLevel,
      int unknown,
      boolean fuseUnknown,
      boolean byteFallback,
      boolean ignoreMerges,
      String prefix,
      String suffix) {
    static final Options BYTES = new Options(true, -1, false, false, false, "", "");

    private int affixBytes() {
      return prefix.getBytes(StandardCharsets.UTF_8).length
          + suffix.getBytes(StandardCharsets.UTF_8).length;
    }
  }

  private final Map<String, Integer> vocabulary;
  private final PairJoiner pairs;
  private final Options options;
  private final int[] byteIds;
  private final LongIntMap characters;
  private final ConcurrentHashMap<String, int[]> cache = new ConcurrentHashMap<>();

  /**
   * @param pairs that are joined
   */
  BpeModel(Map<String, Integer> vocabulary, PairJoiner pairs, Options options) {
    this.vocabulary = vocabulary;
    this.pairs = pairs;
    this.options = options;
    this.byteIds = byteIds(vocabulary, options);
    this.characters = new LongIntMap(256);
    vocabulary.forEach(
        (token, id) -> {
          if (!token.isEmpty() && token.codePointCount(0, token.length()) == 1) {
            characters.put(token.codePointAt(0), id);
          }
        });
  }

  private static int[] byteIds(Map<String, Integer> vocabulary, Options options) {
    if (!options.byteLevel()) {
      return Model.byteTokens(vocabulary);
    }
    int[] ids = new int[256];
    for (int b = 0; b < 256; b++) {
      ids[b] = vocabulary.getOrDefault(String.valueOf(ByteSymbols.symbol(b)), -1);
    }
    return ids;
  }

  /** A byte of UTF-8 that neither a token nor the unknown token stands for, or -1. */
  int missingByte() {
    boolean all = (options.byteLevel() || options.byteFallback()) && options.unknown() < 0;
    for (int b = 0; all && b < 0xF5; b++) {
      if (byteIds[b] < 0 && b != 0xC0 && b != 0xC1) { // which UTF-8 has not
        return b;
      }
    }
    return -1;
  }

  @Override
  public void encode(String word, IntConsumer out) {
    int[] ids = cache.get(word);
    if (ids == null) {
      ids = encode(word);
      if (word.length() <= CACHED_LENGTH && cache.size() < CACHE_SIZE) {
        cache.put(word, ids);
      }
    }
    for (int id : ids) {
      out.accept(id);
    }
  }

  private int[] encode(String word) {
    byte @Nullable [] utf8 = options.byteLevel() ? word.getBytes(StandardCharsets.UTF_8) : null;
    if (options.ignoreMerges()) {
      Integer whole = vocabulary.get(utf8 == null ? word : ByteSymbols.of(utf8));
      if (whole != null) {
        return new int[] {whole};
      }
    }
    int[] ids = new int[utf8 == null ? (4 + options.affixBytes()) * word.length() : utf8.length];
    int n = utf8 == null ? characters(word, ids) : bytes(utf8, ids);
    return Arrays.copyOf(ids, pairs.join(ids, n));
  }

  private int bytes(byte[] utf8, int[] ids) {
    int n = 0;
    for (byte b : utf8) {
      int id = byteIds[b & 0xFF];
      if (id < 0) {
        id = options.unknown();
      }
      if (id < 0) {
        throw new IllegalArgumentException(
            String.format("byte 0x%02X has no token in the vocabulary", b & 0xFF));
      }
      ids[n++] = id;
    }
    return n;
  }

  private int characters(String word, int[] ids) {
    int n = 0;
    boolean pending = false; // an unknown character goes out behind the bytes that follow it
    for (int i = 0, c; i < word.length(); i += Character.charCount(c)) {
      c = word.codePointAt(i);
      String symbol = symbol(c, i == 0, i + Character.charCount(c) == word.length());
      int id = symbol == null ? characters.get(c) : vocabulary.getOrDefault(symbol, -1);
      if (id >= 0) {
        if (pending) {
          ids[n++] = options.unknown();
          pending = false;
        }
        ids[n++] = id;
        continue;
      }
      int spelled = options.byteFallback() ? spell(c, symbol, ids, n) : n;
      if (spelled > n) {
        n = spelled;
        continue;
      }
      if (options.unknown() < 0) {
        throw Model.unknown(c, vocabulary.size());
      }
      if (pending && !options.fuseUnknown()) {
        ids[n++] = options.unknown();
      }
      pending = true;
    }
    if (pending) {
      ids[n++] = options.unknown();
    }
    return n;
  }

  /** The symbol of a character with what its place in the word adds, null where that is nothing. */
  private @Nullable String symbol(int c, boolean first, boolean last) {
    String prefix = first ? "" : options.prefix();
    String suffix = last ? options.suffix() : "";
    return prefix.isEmpty() && suffix.isEmpty() ? null : prefix + Character.toString(c) + suffix;
  }

  /** Appends the byte tokens of a symbol; none where one of them is missing. */
  private int spell(int c, @Nullable String symbol, int[] ids, int n) {
    int end = n;
    String text = symbol == null ? Character.toString(c) : symbol;
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      ids[end] = byteIds[b & 0xFF];
      if (ids[end++] < 0) {
        return n;
      }
    }
    return end;
  }
}
