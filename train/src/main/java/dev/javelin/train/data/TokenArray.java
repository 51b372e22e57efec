package dev.javelin.train.data;

import java.util.List;
import java.util.Objects;

/** Tokens in memory, as {@link TokenBuffer} collects them. */
final class TokenArray implements TokenSource {
  private final String name;
  private final List<Object> blocks;
  private final long size;

  TokenArray(String name, List<Object> blocks, long size) {
    this.name = name;
    this.blocks = blocks;
    this.size = size;
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public long size() {
    return size;
  }

  @Override
  public void read(long from, int[] into, int count) {
    Objects.checkFromIndexSize(from, count, size);
    for (int done = 0; done < count; ) {
      long position = from + done;
      int at = (int) (position % TokenBuffer.BLOCK);
      int part = Math.min(count - done, TokenBuffer.BLOCK - at);
      switch (blocks.get((int) (position / TokenBuffer.BLOCK))) {
        case char[] narrow -> {
          for (int i = 0; i < part; i++) {
            into[done + i] = narrow[at + i];
          }
        }
        case int[] wide -> System.arraycopy(wide, at, into, done, part);
        default -> throw new IllegalStateException("a block is a char[] or an int[]");
      }
      done += part;
    }
  }

  @Override
  public void close() {}
}
