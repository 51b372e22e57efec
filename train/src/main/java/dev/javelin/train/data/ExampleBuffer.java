package dev.javelin.train.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Objects;
import java.util.function.LongFunction;

/**
 * Examples on their way into memory: ids, which of them are learned, where an example begins. They
 * take two bytes and a bit an id (four and a bit from the first id above 65535 on), and eight bytes
 * an example.
 */
public final class ExampleBuffer {
  /** Flags in a block: what one BitSet holds. */
  private static final int BLOCK = 1 << 20;

  private final TokenBuffer ids = new TokenBuffer();
  private final List<BitSet> learned = new ArrayList<>();
  private long[] starts = new long[16];
  private int examples;
  private long size;
  private boolean allLearned = true;

  /** Begins an example; what is accepted from here on belongs to it. */
  public void begin() {
    if (examples + 1 == starts.length) {
      starts = Arrays.copyOf(starts, 2 * starts.length);
    }
    starts[examples++] = size;
  }

  /** Appends an id to the example last begun. */
  public void accept(int id, boolean isLearned) {
    if (examples == 0) {
      throw new IllegalStateException("begin() an example first");
    }
    if (size % BLOCK == 0) {
      learned.add(new BitSet());
    }
    if (isLearned) {
      learned.getLast().set((int) (size % BLOCK));
    }
    allLearned &= isLearned;
    ids.accept(id);
    size++;
  }

  /** Examples begun so far. */
  public int examples() {
    return examples;
  }

  /**
   * What was accepted; nothing is any more.
   *
   * @param name of all of them, for messages
   * @param exampleName of each, by its number
   * @throws InputException where there is no example
   */
  public TokenSource finish(String name, LongFunction<String> exampleName) {
    if (examples == 0) {
      throw new InputException(name + " holds no example: name a file with some");
    }
    starts[examples] = size;
    return new Examples(
        ids.finish(name),
        List.copyOf(learned),
        Arrays.copyOf(starts, examples + 1),
        allLearned,
        exampleName);
  }

  private static final class Examples implements TokenSource {
    private final TokenSource ids;
    private final List<BitSet> learned;
    private final long[] starts;
    private final boolean allLearned;
    private final LongFunction<String> exampleName;

    Examples(
        TokenSource ids,
        List<BitSet> learned,
        long[] starts,
        boolean allLearned,
        LongFunction<String> exampleName) {
      this.ids = ids;
      this.learned = learned;
      this.starts = starts;
      this.allLearned = allLearned;
      this.exampleName = exampleName;
    }

    @Override
    public String name() {
      return ids.name();
    }

    @Override
    public long size() {
      return ids.size();
    }

    @Override
    public void read(long from, int[] into, int count) {
      ids.read(from, into, count);
    }

    @Override
    public void readLearned(long from, boolean[] into, int count) {
      Objects.checkFromIndexSize(from, count, size());
      for (int i = 0; i < count; i++) {
        long at = from + i;
        into[i] = learned.get((int) (at / BLOCK)).get((int) (at % BLOCK));
      }
    }

    @Override
    public boolean allLearned() {
      return allLearned;
    }

    @Override
    public boolean isText() {
      return false;
    }

    @Override
    public long examples() {
      return starts.length - 1;
    }

    @Override
    public long exampleStart(long example) {
      return starts[Math.toIntExact(example)];
    }

    @Override
    public String exampleName(long example) {
      return exampleName.apply(example);
    }

    @Override
    public void close() {}
  }
}
