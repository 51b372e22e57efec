package dev.javelin.train.data;

import java.util.Objects;

/**
 * Prompts with a better and a worse answer: the examples of one source, then those of the other. A
 * piece is a pair.
 *
 * @param chosen prompts with their better answers
 * @param rejected as many: the same prompts with the worse ones
 */
public record AnswerPairs(TokenSource chosen, TokenSource rejected) implements TokenSource {
  public AnswerPairs {
    if (chosen.examples() != rejected.examples()) {
      throw new IllegalArgumentException(
          "%d chosen and %d rejected answers make no pairs"
              .formatted(chosen.examples(), rejected.examples()));
    }
  }

  @Override
  public String name() {
    return chosen.name();
  }

  @Override
  public long size() {
    return chosen.size() + rejected.size();
  }

  @Override
  public void read(long from, int[] into, int count) {
    Objects.checkFromIndexSize(from, count, size());
    int first = (int) Math.clamp(chosen.size() - from, 0, count);
    if (first > 0) {
      chosen.read(from, into, first);
    }
    if (first < count) {
      int[] rest = new int[count - first];
      rejected.read(from + first - chosen.size(), rest, rest.length);
      System.arraycopy(rest, 0, into, first, rest.length);
    }
  }

  @Override
  public void readLearned(long from, boolean[] into, int count) {
    Objects.checkFromIndexSize(from, count, size());
    int first = (int) Math.clamp(chosen.size() - from, 0, count);
    if (first > 0) {
      chosen.readLearned(from, into, first);
    }
    if (first < count) {
      boolean[] rest = new boolean[count - first];
      rejected.readLearned(from + first - chosen.size(), rest, rest.length);
      System.arraycopy(rest, 0, into, first, rest.length);
    }
  }

  @Override
  public boolean allLearned() {
    return chosen.allLearned() && rejected.allLearned();
  }

  @Override
  public boolean isText() {
    return false;
  }

  @Override
  public long examples() {
    return chosen.examples() + rejected.examples();
  }

  @Override
  public long exampleStart(long example) {
    return example <= chosen.examples()
        ? chosen.exampleStart(example)
        : chosen.size() + rejected.exampleStart(example - chosen.examples());
  }

  @Override
  public String exampleName(long example) {
    return example < chosen.examples()
        ? chosen.exampleName(example)
        : rejected.exampleName(example - chosen.examples());
  }

  @Override
  public long pieces() {
    return chosen.examples();
  }

  @Override
  public TokenSource pieces(String partName, long from, long to) {
    return new AnswerPairs(chosen.pieces(partName, from, to), rejected.pieces(partName, from, to));
  }

  @Override
  public void requireBelow(int vocabSize) {
    chosen.requireBelow(vocabSize);
    rejected.requireBelow(vocabSize);
  }

  @Override
  public void close() {
    chosen.close();
    rejected.close();
  }
}
