package dev.javelin.train.data;

import java.util.List;

/**
 * Rows to train on, any number of them, read in any order: windows of a text, padded examples,
 * pairs. What a row is depends on its number alone.
 *
 * <p>Safe for several threads at once.
 */
public interface Rows {

  /** The fields that a row fills. */
  BatchLayout layout();

  /**
   * The layouts that rows may be written in, the narrowest first, {@link #layout} last: a GPU
   * records a step for each.
   */
  default List<BatchLayout> layouts() {
    return List.of(layout());
  }

  /** Which of {@link #layouts} is the first that a row fits into. */
  default int fits(long row) {
    return 0;
  }

  /** How many there are, at least 1. */
  long count();

  /**
   * Writes row {@code row} into row {@code at} of every field.
   *
   * @throws InputException where the data hold what the model cannot read
   */
  void read(long row, Fields into, int at);

  /** How many of its targets count towards the loss. */
  long targets(long row);

  /** How many tokens it reads, those that only fill it up left out. */
  default long tokens(long row) {
    return targets(row);
  }

  /** How many of its places in the widest layout hold nothing and are computed all the same. */
  default long padding(long row) {
    return 0;
  }

  /** Where a row comes from, for people: {@code docs.jsonl line 7}. */
  default String origin(long row) {
    return "row " + row;
  }

  /** What the user should know about the choice of the rows, a line each. */
  default List<String> notes() {
    return List.of();
  }
}
