package dev.javelin.train.data;

import java.util.List;
import java.util.function.LongUnaryOperator;

/** Rows in an order; blank rows from {@code size} on. */
record OrderedRows(Rows source, Order order, long size) implements BatchSource {

  @Override
  public BatchLayout layout() {
    return source.layout();
  }

  @Override
  public List<BatchLayout> layouts() {
    return source.layouts();
  }

  @Override
  public int fits(long place, int rows) {
    int widest = 0;
    int last = source.layouts().size() - 1;
    for (long p = place; p < Math.min(place + rows, size) && widest < last; p++) {
      widest = Math.max(widest, source.fits(order.row(p, source.count())));
    }
    return widest;
  }

  @Override
  public void fill(long place, int rows, Fields host) {
    for (int i = 0; i < rows; i++) {
      if (place + i < size) {
        source.read(order.row(place + i, source.count()), host, i);
      } else {
        host.blank(i);
      }
    }
  }

  @Override
  public long targets(long place, int rows) {
    return sum(place, rows, source::targets);
  }

  @Override
  public long tokens(long place, int rows) {
    return sum(place, rows, source::tokens);
  }

  @Override
  public long padding(long place, int rows) {
    long padding = sum(place, rows, source::padding); // in the widest layout
    if (padding == 0) {
      return 0;
    }
    long narrower = width(layout()) - width(source.layouts().get(fits(place, rows)));
    return padding - narrower * Math.min(rows, Math.max(0, size - place));
  }

  @Override
  public String origin(long place) {
    if (place >= size) {
      return "no row";
    }
    long row = order.row(place, source.count());
    String from = source.origin(row);
    String number = "row " + row;
    return from.equals(number) ? number : number + ", " + from;
  }

  private static long width(BatchLayout layout) {
    return layout.fields().getFirst().row().elements();
  }

  private long sum(long place, int rows, LongUnaryOperator ofRow) {
    long sum = 0;
    for (long p = place; p < Math.min(place + rows, size); p++) {
      sum += ofRow.applyAsLong(order.row(p, source.count()));
    }
    return sum;
  }
}
