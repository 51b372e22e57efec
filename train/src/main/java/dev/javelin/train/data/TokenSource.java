package dev.javelin.train.data;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.Arrays;
import java.util.Objects;

/**
 * Examples to learn from, end to end: token ids, which of them are to be learned, and where an
 * example begins. Random access; of any size, since an implementation may lie in a file. Instances
 * may be read by several threads.
 *
 * <p>A source of running text is a single example all of whose ids are learned: what the defaults
 * say. One with several examples, or with ids that are only given (the question before the answer),
 * overrides them.
 */
public interface TokenSource extends AutoCloseable {

  /** How the source is called in messages. */
  String name();

  /** The number of tokens, of all examples together. */
  long size();

  /** Reads {@code count} ids from position {@code from} on; ids are unsigned 32-bit numbers. */
  void read(long from, int[] into, int count);

  /**
   * Which of the ids at positions [from, from + count) count as targets: those a model is to
   * predict from what stands before them. All do, unless overridden.
   */
  default void readLearned(long from, boolean[] into, int count) {
    Arrays.fill(into, 0, count, true);
  }

  /** Whether {@link #readLearned} says true of every id, so that nobody needs to ask. */
  default boolean allLearned() {
    return true;
  }

  /**
   * Whether this is running text, to be cut anywhere, rather than examples, which stay whole. A
   * source of one example some of whose ids are only given is not.
   */
  default boolean isText() {
    return examples() == 1 && allLearned();
  }

  /** The number of examples, at least 1. */
  default long examples() {
    return 1;
  }

  /**
   * The position at which an example begins; it ends where the next one does.
   *
   * @param example from 0 to {@link #examples}, for which the answer is {@link #size}
   */
  default long exampleStart(long example) {
    Objects.checkIndex(example, examples() + 1);
    return example == 0 ? 0 : size();
  }

  /** Where an example comes from, for messages: {@code docs.jsonl line 7}. */
  default String exampleName(long example) {
    return examples() == 1 ? name() : name() + " example " + example;
  }

  /**
   * Makes sure that a model with {@code vocabSize} embeddings can take every id. A large file is
   * looked through in the background.
   *
   * @throws InputException naming the first id that it cannot take, with its position
   */
  default void requireBelow(int vocabSize) {
    Ids.requireBelow(name(), size(), this::read, vocabSize, () -> false);
  }

  @Override
  void close();

  /** Running text in memory. */
  static TokenSource of(String name, int... ids) {
    TokenBuffer buffer = new TokenBuffer();
    for (int id : ids) {
      buffer.accept(id);
    }
    return buffer.finish(name);
  }

  /** The tokens [from, to) as running text, open as long as this source is. */
  default TokenSource part(String partName, long from, long to) {
    return new Part(name() + " (" + partName + ")", this, from, to);
  }

  /** The examples [from, to), open as long as this source is. */
  default TokenSource exampleRange(String partName, long from, long to) {
    return new ExampleRange(name() + " (" + partName + ")", this, from, to);
  }

  /** How many pieces it can be cut into: the tokens of running text, otherwise the examples. */
  default long pieces() {
    return isText() ? size() : examples();
  }

  /** The pieces [from, to), open as long as this source is. */
  default TokenSource pieces(String partName, long from, long to) {
    return isText() ? part(partName, from, to) : exampleRange(partName, from, to);
  }

  /**
   * Where the last {@code fraction} of {@code size} tokens, or examples, begins: ⌊size · (1 −
   * fraction)⌋, the fraction taken as the decimal number it is written as.
   */
  static long splitAt(long size, double fraction) {
    if (!(fraction >= 0 && fraction < 1)) {
      throw new IllegalArgumentException(
          "the validation fraction must be in [0, 1), got " + fraction);
    }
    return BigDecimal.ONE
        .subtract(BigDecimal.valueOf(fraction))
        .multiply(BigDecimal.valueOf(size))
        .setScale(0, RoundingMode.FLOOR)
        .longValueExact();
  }

  /** A range of another source. */
  record Part(String name, TokenSource whole, long from, long to) implements TokenSource {
    public Part {
      if (from < 0 || to < from || to > whole.size()) {
        throw new IllegalArgumentException(
            "part [" + from + ", " + to + ") of " + whole.size() + " tokens of " + name);
      }
    }

    @Override
    public long size() {
      return to - from;
    }

    @Override
    public void read(long position, int[] into, int count) {
      check(position, count);
      whole.read(from + position, into, count);
    }

    @Override
    public void readLearned(long position, boolean[] into, int count) {
      check(position, count);
      whole.readLearned(from + position, into, count);
    }

    private void check(long position, int count) {
      if (position < 0 || position + count > size()) {
        throw new IndexOutOfBoundsException(
            "tokens [" + position + ", " + (position + count) + ") of " + size() + " of " + name);
      }
    }

    @Override
    public boolean allLearned() {
      return whole.allLearned();
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
}
