package dev.javelin.train.data;

import java.util.List;

/**
 * The stream of rows that a run reads, by place: training reads places without end, an evaluation
 * the first {@link #size}. A batch is any stretch of it, so that what is read does not depend on
 * how it is cut into batches, steps and ranks.
 *
 * <p>Safe for several threads at once, each with fields of its own.
 */
public interface BatchSource {

  /** The fields of its batches. */
  BatchLayout layout();

  /** The layouts that its rows may be written in, the narrowest first, {@link #layout} last. */
  default List<BatchLayout> layouts() {
    return List.of(layout());
  }

  /** Which of {@link #layouts} is the first that the rows of all these places fit into. */
  default int fits(long place, int rows) {
    return 0;
  }

  /**
   * How many places hold a row, {@link Long#MAX_VALUE} for a stream without end; behind them come
   * rows that do not count.
   */
  default long size() {
    return Long.MAX_VALUE;
  }

  /**
   * Writes the rows of some places into the first rows of all fields.
   *
   * @param host fields in host memory
   * @throws InputException where the data hold what the model cannot read
   */
  void fill(long place, int rows, Fields host);

  /** How many targets of some places count: of a whole step over all its ranks, for instance. */
  long targets(long place, int rows);

  /** How many tokens some places read, those that only fill them up left out. */
  default long tokens(long place, int rows) {
    return targets(place, rows);
  }

  /**
   * How much of some places, in the narrowest layout that they fit into, holds nothing and is
   * computed all the same.
   */
  default long padding(long place, int rows) {
    return 0;
  }

  /** Which row stands at a place, and where it comes from, for people. */
  default String origin(long place) {
    return "place " + place;
  }

  /** Epoch after epoch, each in an order of its own. */
  static BatchSource endless(Rows rows, Order order) {
    return new OrderedRows(rows, order, Long.MAX_VALUE);
  }

  /** Each row once, in order. */
  static BatchSource once(Rows rows) {
    return new OrderedRows(rows, Order.sequential(), rows.count());
  }
}
