package dev.javelin.train.data;

import java.util.function.BooleanSupplier;

/** What is asked of ids wherever they come from. */
final class Ids {
  private static final int BLOCK = 1 << 16;

  private Ids() {}

  /** Reads a stretch of ids. */
  @FunctionalInterface
  interface Reader {
    void read(long from, int[] into, int count);
  }

  /**
   * Looks through {@code size} ids, a block at a time.
   *
   * @param stop asked before each block whether to leave off
   * @throws InputException at the first id that is not in [0, vocabSize)
   */
  static void requireBelow(
      String name, long size, Reader source, int vocabSize, BooleanSupplier stop) {
    int[] ids = new int[(int) Math.min(BLOCK, size)];
    for (long from = 0; from < size && !stop.getAsBoolean(); from += BLOCK) {
      int count = (int) Math.min(BLOCK, size - from);
      source.read(from, ids, count);
      for (int i = 0; i < count; i++) {
        if (Integer.compareUnsigned(ids[i], vocabSize) >= 0) {
          throw outside(name, from + i, ids[i], vocabSize);
        }
      }
    }
  }

  /** For an id that a model has no embedding for. */
  static InputException outside(String name, long position, int id, int vocabSize) {
    return new InputException(
        name
            + ": token "
            + Integer.toUnsignedString(id)
            + " at position "
            + position
            + " is outside the vocabulary of "
            + vocabSize
            + ": prepare the data with the model's tokenizer");
  }
}
