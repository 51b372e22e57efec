package dev.javelin.train.tokenizer;

import java.util.Map;

/** Collects the merges of a vocabulary, the first to be joined first. */
final class Merges {
  private final Map<String, Integer> vocabulary;
  private final LongIntMap ranks;
  private final int[] merged;
  private final String prefix;
  private int size;

  /**
   * @param prefix of tokens that go on a word: the second of a pair has it, what they make has not
   */
  Merges(Map<String, Integer> vocabulary, int most, String prefix) {
    this.vocabulary = vocabulary;
    this.prefix = prefix;
    ranks = new LongIntMap(most);
    merged = new int[most];
  }

  /** Adds a pair; false where one of the two, or what they make, is not in the vocabulary. */
  boolean add(String left, String right) {
    Integer leftId = vocabulary.get(left);
    Integer rightId = vocabulary.get(right);
    Integer joined =
        right.startsWith(prefix) ? vocabulary.get(left + right.substring(prefix.length())) : null;
    if (leftId == null || rightId == null || joined == null) {
      return false;
    }
    ranks.put(PairJoiner.pair(leftId, rightId), size);
    merged[size++] = joined;
    return true;
  }

  BpeModel model(BpeModel.Options options) {
    return new BpeModel(vocabulary, new PairJoiner(ranks, merged, null), options);
  }
}
