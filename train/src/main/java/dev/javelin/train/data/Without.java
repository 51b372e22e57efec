package dev.javelin.train.data;

import java.util.Objects;

/**
 * Another source with a gap: all but some of its examples, or of the tokens of running text, whose
 * two parts then follow each other.
 *
 * @param from the first token of the gap
 * @param to the first behind it
 * @param firstExample the first example of the gap; 0 where the whole is running text
 * @param endExample the first behind it; 0 likewise
 */
record Without(
    String name, TokenSource whole, long from, long to, long firstExample, long endExample)
    implements TokenSource {

  /** Without the pieces [first, end). */
  static Without pieces(String name, TokenSource whole, long first, long end) {
    Objects.checkFromToIndex(first, end, whole.pieces());
    return whole.isText()
        ? new Without(name, whole, first, end, 0, 0)
        : new Without(name, whole, whole.exampleStart(first), whole.exampleStart(end), first, end);
  }

  private long gap() {
    return to - from;
  }

  @Override
  public long size() {
    return whole.size() - gap();
  }

  @Override
  public void read(long position, int[] into, int count) {
    Objects.checkFromIndexSize(position, count, size());
    int before = before(position, count);
    if (before == count) {
      whole.read(position, into, count);
    } else if (before == 0) {
      whole.read(position + gap(), into, count);
    } else {
      int[] rest = new int[count - before];
      whole.read(position, into, before);
      whole.read(to, rest, rest.length);
      System.arraycopy(rest, 0, into, before, rest.length);
    }
  }

  @Override
  public void readLearned(long position, boolean[] into, int count) {
    Objects.checkFromIndexSize(position, count, size());
    int before = before(position, count);
    boolean[] rest = new boolean[count - before];
    whole.readLearned(position, into, before);
    whole.readLearned(Math.max(position + gap(), to), rest, rest.length);
    System.arraycopy(rest, 0, into, before, rest.length);
  }

  /** How many of some tokens lie before the gap. */
  private int before(long position, int count) {
    return (int) Math.clamp(from - position, 0L, (long) count);
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
    return whole.examples() - (endExample - firstExample);
  }

  @Override
  public long exampleStart(long example) {
    Objects.checkIndex(example, examples() + 1);
    if (whole.isText()) {
      return example == 0 ? 0 : size();
    }
    return example < firstExample
        ? whole.exampleStart(example)
        : whole.exampleStart(inWhole(example)) - gap();
  }

  private long inWhole(long example) {
    return example < firstExample ? example : example + endExample - firstExample;
  }

  @Override
  public String exampleName(long example) {
    return whole.exampleName(whole.isText() ? example : inWhole(example));
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
