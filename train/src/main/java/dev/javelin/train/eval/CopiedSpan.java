package dev.javelin.train.eval;

import java.util.Arrays;

/**
 * The longest run of tokens that a text shares with the training data: how much a model repeats by
 * heart.
 *
 * @param length tokens of the run, 0 for none
 * @param inText where it begins in the text
 * @param inData where it first begins in the data
 */
public record CopiedSpan(int length, int inText, int inData) {
  private static final long BASE = 0x9E3779B97F4A7C15L;

  /**
   * The longest run that occurs in both, and the first in the text of that length. If a run of some
   * length is shared, shorter ones are: the length is found by halving. Each try looks up the
   * hashes of all runs of the text by those of the data and compares the tokens themselves where
   * hashes agree, {@code O((m + n) · log m)} on the whole.
   *
   * @param data what the model was trained on: ids of tokens, or bytes
   */
  public static CopiedSpan of(int[] text, int[] data) {
    CopiedSpan best = new CopiedSpan(0, 0, 0);
    int low = 1;
    int high = Math.min(text.length, data.length);
    while (low <= high) {
      int length = (low + high) >>> 1;
      CopiedSpan found = shared(text, data, length);
      if (found == null) {
        high = length - 1;
      } else {
        best = found;
        low = length + 1;
      }
    }
    return best;
  }

  private static @org.jspecify.annotations.Nullable CopiedSpan shared(
      int[] text, int[] data, int length) {
    long[] hashes = hashes(text, length);
    Integer[] order = new Integer[hashes.length];
    Arrays.setAll(order, i -> i);
    Arrays.sort(
        order, (a, b) -> hashes[a] != hashes[b] ? Long.compare(hashes[a], hashes[b]) : a - b);
    long[] sorted = new long[hashes.length];
    Arrays.setAll(sorted, i -> hashes[order[i]]);
    CopiedSpan best = null;
    long power = power(length);
    long hash = 0;
    for (int end = 0; end < data.length; end++) {
      hash = hash * BASE + data[end] + 1;
      if (end >= length) {
        hash -= (data[end - length] + 1L) * power;
      }
      if (end < length - 1) {
        continue;
      }
      int from = end - length + 1;
      int at = first(sorted, hash);
      for (; at < sorted.length && sorted[at] == hash; at++) {
        int inText = order[at];
        if (best != null && inText >= best.inText) {
          break;
        }
        if (Arrays.equals(text, inText, inText + length, data, from, from + length)) {
          best = new CopiedSpan(length, inText, from);
          break;
        }
      }
    }
    return best;
  }

  /** Σ (tokenᵢ + 1) · BASE^(length − 1 − i) of each run, modulo 2⁶⁴. */
  private static long[] hashes(int[] text, int length) {
    long[] hashes = new long[text.length - length + 1];
    long power = power(length);
    long hash = 0;
    for (int end = 0; end < text.length; end++) {
      hash = hash * BASE + text[end] + 1;
      if (end >= length) {
        hash -= (text[end - length] + 1L) * power;
      }
      if (end >= length - 1) {
        hashes[end - length + 1] = hash;
      }
    }
    return hashes;
  }

  private static long power(int length) {
    long power = 1;
    for (int i = 0; i < length; i++) {
      power *= BASE;
    }
    return power;
  }

  private static int first(long[] sorted, long value) {
    int low = 0;
    int high = sorted.length;
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (sorted[middle] < value) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
}
