package dev.javelin.train.tokenizer;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.SequencedMap;
import java.util.stream.Stream;

/**
 * Learns a byte-level vocabulary: cut the texts into GPT-2's words, then again and again make a
 * token of the most frequent pair of neighbours; of equals, of the pair with the smaller (left id,
 * right id). Ids: special tokens, the 256 byte symbols by their character, then one per merge. The
 * result equals that of Hugging Face's {@code BpeTrainer} with {@code min_frequency = 2}.
 *
 * @see <a href="https://arxiv.org/abs/1508.07909">Sennrich, Haddow, Birch 2016</a>
 */
public final class BpeTrainer {
  private static final long MIN_FREQUENCY = 2;

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
  private final int[][] words;
  private final long[] wordCounts;

  /** Pair of ids to its place in the arrays below. */
  private final LongIntMap places = new LongIntMap(1 << 12);

  private long[] pairs = new long[1 << 12];
  private long[] counts = new long[1 << 12];

  /** The words a pair stands in, or once stood in. */
  private final List<IntList> occurrences = new ArrayList<>();

  private final PriorityQueue<Candidate> candidates = new PriorityQueue<>();

  private BpeTrainer(Map<String, long[]> words, List<String> specials) {
    specials.forEach(this::token);
    byte[] identity = new byte[256];
    for (int b = 0; b < 256; b++) {
      identity[b] = (byte) b;
    }
    ByteSymbols.of(identity).chars().sorted().forEach(c -> token(String.valueOf((char) c)));
    this.words = new int[words.size()][];
    this.wordCounts = new long[words.size()];
    int w = 0;
    for (Map.Entry<String, long[]> entry : words.entrySet()) {
      this.words[w] = entry.getKey().chars().map(c -> id((char) c)).toArray();
      wordCounts[w++] = entry.getValue()[0];
    }
  }

  private int id(char symbol) {
    return ids.getOrDefault(String.valueOf(symbol), -1);
  }

  /**
   * A tokenizer of at most {@code vocabSize} tokens; fewer where no pair is left that occurs twice.
   *
   * @param specials special tokens, ids from 0; the first ends a text
   * @throws IllegalArgumentException where {@code vocabSize} has no room for the bytes and
   *     specials, or the texts are empty
   */
  public static Tokenizer train(Stream<String> texts, int vocabSize, List<String> specials) {
    if (vocabSize < 256 + specials.size()) {
      throw new IllegalArgumentException(
          "vocabulary size must be at least "
              + (256 + specials.size())
              + " (256 bytes and "
              + specials.size()
              + " special tokens), got "
              + vocabSize);
    }
    Map<String, long[]> words = new LinkedHashMap<>();
    var splitter = PreTokenization.words(PreTokenization.GPT2);
    texts.forEach(
        text ->
            splitter.split(
                text, true, (word, first) -> words.computeIfAbsent(word, k -> new long[1])[0]++));
    if (words.isEmpty()) {
      throw new IllegalArgumentException("a vocabulary needs a text, got none");
    }
    Map<String, long[]> symbols = LinkedHashMap.newLinkedHashMap(words.size());
    words.forEach(
        (word, count) ->
            symbols.put(
                ByteSymbols.of(word.getBytes(java.nio.charset.StandardCharsets.UTF_8)), count));
    BpeTrainer trainer = new BpeTrainer(symbols, specials);
    trainer.learn(vocabSize);
    return trainer.tokenizer(specials);
  }

  private int token(String token) {
    Integer known = ids.putIfAbsent(token, tokens.size());
    if (known != null) {
      return known;
    }
    tokens.add(token);
    return tokens.size() - 1;
  }

  private void learn(int vocabSize) {
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
    if (counts[place] >= MIN_FREQUENCY) {
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
    long pair = BpeModel.pair(left, right);
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
    int joined = token(tokens.get(left) + tokens.get(right));
    BitSet risen = new BitSet();
    for (int i = 0; i < where.size; i++) {
      int w = where.items[i];
      int[] before = words[w];
      int[] after = join(before, left, right, joined);
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

  private static int[] join(int[] word, int left, int right, int joined) {
    int[] result = new int[word.length];
    int n = 0;
    for (int i = 0; i < word.length; i++) {
      boolean hit = word[i] == left && i + 1 < word.length && word[i + 1] == right;
      result[n++] = hit ? joined : word[i];
      i += hit ? 1 : 0;
    }
    return n == word.length ? word : Arrays.copyOf(result, n);
  }

  private Tokenizer tokenizer(List<String> specials) {
    SequencedMap<String, Integer> vocabulary = new LinkedHashMap<>();
    SequencedMap<String, Integer> special = new LinkedHashMap<>();
    for (int id = 0; id < tokens.size(); id++) {
      vocabulary.put(tokens.get(id), id);
    }
    specials.forEach(name -> special.put(name, vocabulary.get(name)));
    return TokenizerFiles.parse(TokenizerJsonWriter.byteLevel(vocabulary, merges, special, true));
  }
}
