package dev.javelin.train.tokenizer;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.function.BinaryOperator;

/**
 * Byte-pair learning: again and again the most frequent pair of neighbours becomes a token; of
 * equals the pair with the smaller (left id, right id).
 *
 * @see <a href="https://arxiv.org/abs/1508.07909">Sennrich, Haddow, Birch 2016</a>
 */
final class MergeLearner {
  private record Candidate(long count, long pair) implements Comparable<Candidate> {
    @Override
    public int compareTo(Candidate other) {
      int byCount = Long.compare(other.count, count);
      return byCount != 0 ? byCount : Long.compare(pair, other.pair);
    }
  }

  /** Numbers of words, in the order they were met. */
  private static final class IntList {
    private int[] items = new int[2];
    private int size;

    void add(int item) {
      if (size > 0 && items[size - 1] == item) {
        return;
      }
      if (size == items.length) {
        items = Arrays.copyOf(items, 2 * size);
      }
      items[size++] = item;
    }
  }

  private final List<String> tokens = new ArrayList<>();
  private final Map<String, Integer> ids = new HashMap<>();
  private final List<String[]> merges = new ArrayList<>();
  private final BinaryOperator<String> join;
  private final long minFrequency;
  private int[][] words = {};
  private long[] wordCounts = {};

  /** Pair of ids to its place in the arrays below. */
  private final LongIntMap places = new LongIntMap(1 << 12);

  private long[] pairs = new long[1 << 12];
  private long[] counts = new long[1 << 12];

  /** The words a pair stands in, or once stood in. */
  private final List<IntList> occurrences = new ArrayList<>();

  private final PriorityQueue<Candidate> candidates = new PriorityQueue<>();

  /**
   * @param minFrequency a pair that occurs less often is not joined
   * @param join the token that two make
   */
  MergeLearner(long minFrequency, BinaryOperator<String> join) {
    this.minFrequency = minFrequency;
    this.join = join;
  }

  /** The id of a token, which is new if it is not known. */
  int token(String token) {
    Integer known = ids.putIfAbsent(token, tokens.size());
    if (known != null) {
      return known;
    }
    tokens.add(token);
    return tokens.size() - 1;
  }

  /** The id of a token; -1 if it is not known. */
  int id(String token) {
    return ids.getOrDefault(token, -1);
  }

  /** In the order of their ids. */
  List<String> tokens() {
    return tokens;
  }

  /** In the order in which they were learned. */
  List<String[]> merges() {
    return merges;
  }

  /**
   * Learns until there are {@code vocabSize} tokens, or no pair is left that is frequent enough.
   *
   * @param cut the ids of each word; replaced as tokens are joined
   * @param occurring how often each word occurs
   */
  void learn(int[][] cut, long[] occurring, int vocabSize) {
    words = cut;
    wordCounts = occurring;
    BitSet all = new BitSet();
    for (int w = 0; w < words.length; w++) {
      count(w, -1, all);
    }
    offer(all);
    while (tokens.size() < vocabSize) {
      Candidate best = candidates.poll();
      if (best == null) {
        return;
      }
      int place = places.get(best.pair());
      if (counts[place] == best.count()) {
        merge(best.pair(), occurrences.get(place));
      } else if (counts[place] < best.count()) {
        offer(place); // it sank since; where it rose, it was offered then
      }
    }
  }

  private void offer(BitSet risen) {
    risen.stream().forEach(this::offer);
  }

  private void offer(int place) {
    if (counts[place] >= minFrequency) {
      candidates.add(new Candidate(counts[place], pairs[place]));
    }
  }

  /** Counts the pairs of word {@code w}; lists it under those with {@code news}, or all if -1. */
  private void count(int w, int news, BitSet listed) {
    int[] word = words[w];
    for (int i = 0; i + 1 < word.length; i++) {
      int place = place(word[i], word[i + 1]);
      counts[place] += wordCounts[w];
      if (news < 0 || word[i] == news || word[i + 1] == news) {
        occurrences.get(place).add(w);
        listed.set(place);
      }
    }
  }

  private int place(int left, int right) {
    long pair = PairJoiner.pair(left, right);
    int place = places.get(pair);
    if (place == LongIntMap.ABSENT) {
      place = occurrences.size();
      places.put(pair, place);
      occurrences.add(new IntList());
      if (place == counts.length) {
        counts = Arrays.copyOf(counts, 2 * place);
        pairs = Arrays.copyOf(pairs, 2 * place);
      }
      pairs[place] = pair;
    }
    return place;
  }

  private void merge(long pair, IntList where) {
    int left = (int) (pair >>> 32);
    int right = (int) pair;
    merges.add(new String[] {tokens.get(left), tokens.get(right)});
    int joined = token(join.apply(tokens.get(left), tokens.get(right)));
    BitSet risen = new BitSet();
    for (int i = 0; i < where.size; i++) {
      int w = where.items[i];
      int[] before = words[w];
      int[] after = joined(before, left, right, joined);
      if (after == before) {
        continue; // listed twice
      }
      for (int k = 0; k + 1 < before.length; k++) {
        counts[place(before[k], before[k + 1])] -= wordCounts[w];
      }
      words[w] = after;
      count(w, joined, risen);
    }
    offer(risen);
  }

  private static int[] joined(int[] word, int left, int right, int joined) {
    int[] result = new int[word.length];
    int n = 0;
    for (int i = 0; i < word.length; i++) {
      boolean hit = word[i] == left && i + 1 < word.length && word[i + 1] == right;
      result[n++] = hit ? joined : word[i];
      i += hit ? 1 : 0;
    }
    return n == word.length ? word : Arrays.copyOf(result, n);
  }
}
