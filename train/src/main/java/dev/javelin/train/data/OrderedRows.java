package dev.javelin.train.data;

/** Rows in an order; blank rows from {@code size} on. */
record OrderedRows(Rows source, Order order, long size) implements BatchSource {

  @Override
  public BatchLayout layout() {
    return source.layout();
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
    long targets = 0;
    for (long p = place; p < Math.min(place + rows, size); p++) {
      targets += source.targets(order.row(p, source.count()));
    }
    return targets;
  }
}
