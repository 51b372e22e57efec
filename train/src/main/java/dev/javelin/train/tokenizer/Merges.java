package dev.javelin.train.tokenizer;

import java.util.Map;

/** Collects the merges of a vocabulary, the first to be joined first. */
final class Merges {
  private final Map<String, Integer> vocabulary;
  private final LongIntMap ranks;
  private final int[] merged;
  private int size;

  Merges(Map<String, Integer> vocabulary, int most) {
    this.vocabulary = vocabulary;
    ranks = new LongIntMap(most);
    merged = new int[most];
  }

  /** Adds a pair; false where one of the two, or what they make, is not in the vocabulary. */
  boolean add(String left, String right) {
    Integer leftId = vocabulary.get(left);
    Integer rightId = vocabulary.get(right);
    Integer joined = vocabulary.get(left + right);
    if (leftId == null || rightId == null || joined == null) {
      return false;
    }
    ranks.put(BpeModel.pair(leftId, rightId), size);
    merged[size++] = joined;
    return true;
  }

  BpeModel model(BpeModel.Options options) {
    return new BpeModel(vocabulary, ranks, merged, options);
  }
}
