package dev.javelin.train.tokenizer;

import java.util.Arrays;

/** Numbers of texts, found while their characters are read. */
final class Trie {
  static final int ROOT = 0;
  static final int ABSENT = -1;

  private final LongIntMap edges;
  private int[] values;
  private int states = 1;

  /**
   * @param expected number of texts
   */
  Trie(int expected) {
    edges = new LongIntMap(expected);
    values = new int[Math.max(16, expected)];
    Arrays.fill(values, ABSENT);
  }

  /**
   * @param value 0 or more; replaces an earlier one of the same text
   */
  void put(String text, int value) {
    int state = ROOT;
    for (int i = 0; i < text.length(); i++) {
      int next = next(state, text.charAt(i));
      if (next == ABSENT) {
        next = states++;
        edges.put(edge(state, text.charAt(i)), next);
        if (next == values.length) {
          values = Arrays.copyOf(values, 2 * next);
          Arrays.fill(values, next, 2 * next, ABSENT);
        }
      }
      state = next;
    }
    values[state] = value;
  }

  private static long edge(int state, char c) {
    return (long) state << 16 | c;
  }

  /** The state behind {@code c}, or {@link #ABSENT} where no text goes on so. */
  int next(int state, char c) {
    int next = edges.get(edge(state, c));
    return next == LongIntMap.ABSENT ? ABSENT : next;
  }

  /** The value of the text that ends in a state, or {@link #ABSENT}. */
  int value(int state) {
    return values[state];
  }

  /** The state behind a text, or {@link #ABSENT}. */
  int walk(CharSequence text, int from, int to) {
    int state = ROOT;
    for (int i = from; i < to && state != ABSENT; i++) {
      state = next(state, text.charAt(i));
    }
    return state;
  }
}
