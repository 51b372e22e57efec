package dev.javelin.train.data;

import java.util.Objects;

/**
 * Some of the examples of another source.
 *
 * @param first the first of them
 * @param end behind the last
 */
record ExampleRange(String name, TokenSource whole, long first, long end) implements TokenSource {
  ExampleRange {
    Objects.checkFromToIndex(first, end, whole.examples());
  }

  private long start() {
    return whole.exampleStart(first);
  }

  @Override
  public long size() {
    return whole.exampleStart(end) - start();
  }

  @Override
  public void read(long from, int[] into, int count) {
    Objects.checkFromIndexSize(from, count, size());
    whole.read(start() + from, into, count);
  }

  @Override
  public void readLearned(long from, boolean[] into, int count) {
    Objects.checkFromIndexSize(from, count, size());
    whole.readLearned(start() + from, into, count);
  }

  @Override
  public boolean allLearned() {
    return whole.allLearned();
  }

  @Override
  public boolean isText() {
    return whole.isText();
  }

  @Override
  public long examples() {
    return end - first;
  }

  @Override
  public long exampleStart(long example) {
    Objects.checkIndex(example, examples() + 1);
    return whole.exampleStart(first + example) - start();
  }

  @Override
  public String exampleName(long example) {
    Objects.checkIndex(example, examples());
    return whole.exampleName(first + example);
  }

  /** Of the whole: that a file is looked through once, and positions are the file's. */
  @Override
  public void requireBelow(int vocabSize) {
    whole.requireBelow(vocabSize);
  }

  /** The memory is the whole's. */
  @Override
  public void close() {}
}
