package dev.javelin.train.guard;

import static dev.javelin.train.data.BatchLayout.IGNORED;
import static dev.javelin.train.data.BatchLayout.TARGETS;

import dev.javelin.train.data.BatchLayout;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Fields;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/** Rows of which some stretches have no targets but 0: a broken part of the data. */
final class BadRows {
  private final List<long[]> stretches = new ArrayList<>();

  /** From now on the places [from, to) are bad. */
  void add(long from, long to) {
    stretches.add(new long[] {from, to});
  }

  private boolean isBad(long place) {
    for (long[] s : stretches) {
      if (place >= s[0] && place < s[1]) {
        return true;
      }
    }
    return false;
  }

  /**
   * @throws IllegalArgumentException where rows have no targets
   */
  BatchSource of(BatchSource good) {
    if (!good.layout().has(TARGETS)) {
      throw new IllegalArgumentException(
          "--inject spike changes targets of text, and these rows have none: leave it out");
    }
    return new Bad(good);
  }

  private final class Bad implements BatchSource {
    private final BatchSource good;

    Bad(BatchSource good) {
      this.good = good;
    }

    @Override
    public void fill(long place, int rows, Fields host) {
      good.fill(place, rows, host);
      for (int i = 0; i < rows; i++) {
        if (isBad(place + i)) {
          MemorySegment targets = host.row(TARGETS, i);
          for (long k = 0; k < targets.byteSize() / Integer.BYTES; k++) {
            boolean counts = targets.getAtIndex(ValueLayout.JAVA_INT, k) != IGNORED;
            targets.setAtIndex(ValueLayout.JAVA_INT, k, counts ? 0 : IGNORED);
          }
        }
      }
    }

    @Override
    public BatchLayout layout() {
      return good.layout();
    }

    @Override
    public List<BatchLayout> layouts() {
      return good.layouts();
    }

    @Override
    public int fits(long place, int rows) {
      return good.fits(place, rows);
    }

    @Override
    public long size() {
      return good.size();
    }

    @Override
    public long targets(long place, int rows) {
      return good.targets(place, rows);
    }

    @Override
    public long tokens(long place, int rows) {
      return good.tokens(place, rows);
    }

    @Override
    public long padding(long place, int rows) {
      return good.padding(place, rows);
    }

    @Override
    public String origin(long place) {
      return good.origin(place) + (isBad(place) ? ", made bad by --inject spike" : "");
    }
  }
}
