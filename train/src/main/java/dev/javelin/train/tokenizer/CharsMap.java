package dev.javelin.train.tokenizer;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.BitSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Sentencepiece's table of characters and what takes their place: {@code size of the trie, trie,
 * texts}. The trie is a double array over UTF-8: a unit of 32 bits has a label in its low byte, bit
 * 8 says that a key ends there, the rest is the distance to its children; a leaf holds the place of
 * a text, which a zero ends.
 *
 * @see <a href="https://github.com/s-yata/darts-clone">darts-clone</a>
 */
final class CharsMap {
  /** Extended grapheme clusters, UAX 29. */
  private static final Pattern GRAPHEME = Pattern.compile("\\X");

  /** In bytes; a damaged trie may go in circles. */
  private static final int LONGEST_KEY = 256;

  /** In bytes of UTF-8; a longer cluster is mapped character by character. */
  private static final int LONGEST_GRAPHEME = 5;

  private final int[] units;
  private final byte[] texts;

  private CharsMap(int[] units, byte[] texts) {
    this.units = units;
    this.texts = texts;
  }

  /**
   * @throws IllegalArgumentException for a damaged table, with what is wrong with it
   */
  static CharsMap read(byte[] bytes) {
    ByteBuffer in = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    long size = bytes.length < 4 ? -1 : in.getInt() & 0xFFFFFFFFL;
    if (size < 4 || size % 4 != 0 || size > in.remaining()) {
      throw new IllegalArgumentException("it has no trie of the size it states");
    }
    int[] units = new int[(int) size / 4];
    in.asIntBuffer().get(units);
    byte[] texts = Arrays.copyOfRange(bytes, 4 + (int) size, bytes.length);
    try {
      StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(texts));
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException("its texts are not UTF-8", e);
    }
    CharsMap map = new CharsMap(units, texts);
    map.check();
    return map;
  }

  private static int label(int unit) {
    return unit & 0x800000FF;
  }

  private static int children(int node, int unit) {
    return node ^ (unit >>> 10 << ((unit & 1 << 9) >>> 6));
  }

  /** Walks every key, so that no text can leave the arrays. */
  private void check() {
    BitSet seen = new BitSet(units.length);
    int[] open = new int[units.length + 1];
    int count = 1; // the root, 0
    while (count > 0) {
      int node = open[--count];
      int first = children(node, units[node]);
      for (int c = 1; c < 256; c++) {
        int child = first ^ c;
        if (child >= 0 && child < units.length && label(units[child]) == c && !seen.get(child)) {
          requireText(child);
          seen.set(child);
          open[count++] = child;
        }
      }
    }
  }

  private void requireText(int node) {
    if ((units[node] >>> 8 & 1) != 0) {
      int leaf = children(node, units[node]);
      int value = leaf >= 0 && leaf < units.length ? units[leaf] & 0x7FFFFFFF : -1;
      if (value < 0 || value >= texts.length) {
        throw new IllegalArgumentException("a key has no text");
      }
    }
  }

  /** A key at the beginning of a text. */
  private record Match(int bytes, int text) {}

  private static final Match NONE = new Match(0, -1);

  /**
   * @param longest of several keys, else the shortest
   */
  private Match match(byte[] utf8, int from, int to, boolean longest) {
    Match best = NONE;
    int at = children(0, units[0]);
    int end = Math.min(to, from + LONGEST_KEY);
    for (int i = from; i < end && utf8[i] != 0; i++) {
      int c = utf8[i] & 0xFF;
      int node = at ^ c;
      if (node < 0 || node >= units.length || label(units[node]) != c) {
        break;
      }
      at = children(node, units[node]);
      if ((units[node] >>> 8 & 1) != 0) {
        best = new Match(i + 1 - from, units[at] & 0x7FFFFFFF);
        if (!longest) {
          break;
        }
      }
    }
    return best;
  }

  private int end(int text) {
    int end = text;
    while (end < texts.length && texts[end] != 0) {
      end++;
    }
    return end;
  }

  private String text(Match match) {
    int end = end(match.text());
    return new String(texts, match.text(), end - match.text(), StandardCharsets.UTF_8);
  }

  /** What takes the place of the longest key at the beginning of some bytes. */
  interface Mapped {
    /**
     * @param length of the key, 0 where there is none
     */
    void to(int length, byte[] texts, int from, int to);
  }

  /** Hands the longest key that begins at {@code from} to {@code out}. */
  void longest(byte[] utf8, int from, Mapped out) {
    Match match = match(utf8, from, utf8.length, true);
    if (match == NONE) {
      out.to(0, texts, 0, 0);
    } else {
      out.to(match.bytes(), texts, match.text(), end(match.text()));
    }
  }

  /**
   * The text as {@code tokenizers} maps it: each grapheme cluster, or where it has no key each
   * character, by its shortest key; a cluster that begins with a key is replaced as a whole.
   */
  String normalizeGraphemes(String text) {
    StringBuilder out = new StringBuilder(text.length());
    Matcher clusters = GRAPHEME.matcher(text);
    while (clusters.find()) {
      String cluster = clusters.group();
      byte[] utf8 = cluster.getBytes(StandardCharsets.UTF_8);
      Match whole = utf8.length <= LONGEST_GRAPHEME ? match(utf8, 0, utf8.length, false) : NONE;
      if (whole != NONE) {
        out.append(text(whole));
      } else {
        characters(utf8, cluster, out);
      }
      Normalization.bounded(text.length(), out.length());
    }
    return out.toString();
  }

  private void characters(byte[] utf8, String cluster, StringBuilder out) {
    int from = 0;
    for (int i = 0, c; i < cluster.length(); i += Character.charCount(c)) {
      c = cluster.codePointAt(i);
      int bytes = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
      Match one = match(utf8, from, from + bytes, false);
      if (one == NONE) {
        out.appendCodePoint(c);
      } else {
        out.append(text(one));
      }
      from += bytes;
    }
  }
}
