package dev.javelin.train;

/** What the steps since the line of the log before have taken and read. */
final class SinceLine {
  private long nanos;
  private long steps;
  private long tokens;
  private long padding;

  void read(long more, long paddingMore) {
    tokens += more;
    padding += paddingMore;
  }

  void took(long more) {
    nanos += more;
    steps++;
  }

  double tokensPerSecond() {
    return tokens / (nanos * 1e-9);
  }

  double stepMillis() {
    return nanos * 1e-9 * 1e3 / steps;
  }

  /** Share of the places that only fill up sequences. */
  double padding() {
    return padding == 0 ? 0 : (double) padding / (tokens + padding);
  }
}
