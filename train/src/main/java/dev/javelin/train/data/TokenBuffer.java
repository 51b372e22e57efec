package dev.javelin.train.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;

/**
 * Ids on their way into memory: blocks that are never copied, of two bytes an id while all are
 * below 65536, of four from the first larger one on.
 */
final class TokenBuffer implements IntConsumer {
  private static final int BITS = 16;

  /** Ids in a block. */
  static final int BLOCK = 1 << BITS;

  private static final int NARROW = 1 << 16;

  /** Each a char[] or an int[] of {@link #BLOCK}, in the end the last one shorter. */
  private final List<Object> blocks = new ArrayList<>();

  private char[] narrow = new char[0];
  private int[] wide = new int[0];
  private int used;
  private long size;

  @Override
  public void accept(int id) {
    if (used == narrow.length + wide.length) {
      begin(id);
    } else if (wide.length == 0 && (id < 0 || id >= NARROW)) {
      widen();
    }
    if (wide.length == 0) {
      narrow[used++] = (char) id;
    } else {
      wide[used++] = id;
    }
    size++;
  }

  private void begin(int id) {
    used = 0;
    boolean large = wide.length > 0 || id < 0 || id >= NARROW;
    narrow = new char[large ? 0 : BLOCK];
    wide = new int[large ? BLOCK : 0];
    blocks.add(large ? wide : narrow);
  }

  private void widen() {
    wide = new int[BLOCK];
    for (int i = 0; i < used; i++) {
      wide[i] = narrow[i];
    }
    narrow = new char[0];
    blocks.set(blocks.size() - 1, wide);
  }

  /** The ids so far; nothing is added any more. */
  TokenSource finish(String name) {
    if (!blocks.isEmpty()) {
      blocks.set(
          blocks.size() - 1,
          wide.length == 0 ? Arrays.copyOf(narrow, used) : Arrays.copyOf(wide, used));
    }
    return new TokenArray(name, List.copyOf(blocks), size);
  }
}
