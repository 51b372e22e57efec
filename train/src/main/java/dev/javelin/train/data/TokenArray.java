package dev.javelin.train.data;

/** Tokens in memory. */
final class TokenArray implements TokenSource {
  private final String name;
  private final int[] ids;

  TokenArray(String name, int[] ids) {
    this.name = name;
    this.ids = ids;
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public long size() {
    return ids.length;
  }

  @Override
  public void read(long from, int[] into, int count) {
    System.arraycopy(ids, Math.toIntExact(from), into, 0, count);
  }

  @Override
  public void close() {}
}
