package dev.javelin.train.data;

import java.util.function.LongUnaryOperator;

/**
 * Which row comes at a place of the endless stream of rows that a run reads. A function of its
 * arguments alone: a resumed run and another rank need nothing else to go on.
 */
@FunctionalInterface
public interface Order {

  /**
   * @param place counts from 0 over all epochs
   * @param rows how many there are
   * @return one of [0, rows)
   */
  long row(long place, long rows);

  /** One after the other, and again. */
  static Order sequential() {
    return (place, rows) -> place % rows;
  }

  /** A permutation of its own for every epoch, given by the seed alone. */
  static Order shuffled(long seed) {
    return (place, rows) -> Permutation.of(seed, place / rows, rows).apply(place % rows);
  }

  /**
   * Shuffled so that some rows of like length follow one another, for batches as wide as their
   * longest row: each 1024 rows of the shuffled order are put in order of their length, and what
   * results is shuffled 32 rows at a time. Every epoch has every row once.
   *
   * @param length of a row
   */
  static Order grouped(long seed, LongUnaryOperator length) {
    return new GroupedOrder(seed, length);
  }
}
