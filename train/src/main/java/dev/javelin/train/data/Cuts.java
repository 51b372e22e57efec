package dev.javelin.train.data;

import static dev.javelin.train.data.BatchLayout.IGNORED;
import static dev.javelin.train.data.BatchLayout.TARGETS;
import static dev.javelin.train.data.BatchLayout.TOKENS;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * What rows of T tokens read of each example: its inputs, all but the last of T+1 tokens, and the
 * token behind each as its target, where that is learned. A longer example loses its end; one that
 * would have nothing left to learn loses its beginning instead, so that the last learned token is
 * the last target. One that has nothing to learn at all (its first token is never a target) is left
 * out. Both are counted.
 *
 * <p>Takes 20 bytes an example. Safe for several threads at once.
 */
final class Cuts {
  private static final int BLOCK = 1 << 16;

  private final TokenSource source;
  private final int vocabSize;
  private final ThreadLocal<int[]> ids;
  private final ThreadLocal<boolean[]> flags;
  private long[] from;
  private int[] inputs;
  private int[] targets;
  private int[] example;
  private int count;
  private long endsCut;
  private long beginningsCut;
  private long leftOut;
  private String firstLeftOut = "";

  /**
   * @param seqLen T
   * @throws InputException where no example has anything to learn, or an id is outside the
   *     vocabulary
   */
  Cuts(TokenSource source, int seqLen, int vocabSize) {
    if (source.examples() > Integer.MAX_VALUE - 16) {
      throw new InputException(
          source.name() + " has more than 2 billion examples: train on a part of them");
    }
    source.requireBelow(vocabSize);
    this.source = source;
    this.vocabSize = vocabSize;
    this.ids = ThreadLocal.withInitial(() -> new int[seqLen + 1]);
    this.flags = ThreadLocal.withInitial(() -> new boolean[seqLen + 1]);
    int examples = (int) source.examples();
    from = new long[examples];
    inputs = new int[examples];
    targets = new int[examples];
    example = new int[examples];
    for (int e = 0; e < examples; e++) {
      cut(e, seqLen);
    }
    if (count == 0) {
      throw new InputException(
          "%s: none of %d examples has a token to learn: give examples with answers, or learn prompts too"
              .formatted(source.name(), examples));
    }
    from = Arrays.copyOf(from, count);
    inputs = Arrays.copyOf(inputs, count);
    targets = Arrays.copyOf(targets, count);
    example = Arrays.copyOf(example, count);
  }

  private void cut(int e, int seqLen) {
    long start = source.exampleStart(e);
    long end = source.exampleStart(e + 1L);
    long stop = Math.min(end, start + seqLen + 1L);
    int learned = learned(start + 1, stop);
    if (learned == 0) {
      long last = stop < end ? lastLearned(stop, end) : -1;
      if (last < 0) {
        firstLeftOut = leftOut++ == 0 ? source.exampleName(e) : firstLeftOut;
        return;
      }
      beginningsCut++;
      start = last - seqLen;
      stop = last + 1;
      learned = learned(start + 1, stop);
    } else if (stop < end) {
      endsCut++;
    }
    from[count] = start;
    inputs[count] = (int) (stop - start - 1);
    targets[count] = learned;
    example[count] = e;
    count++;
  }

  /** How many tokens of [begin, end), at most T of them, are learned. */
  private int learned(long begin, long end) {
    int n = (int) Math.max(0, end - begin);
    if (source.allLearned()) {
      return n;
    }
    boolean[] flag = flags.get();
    source.readLearned(begin, flag, n);
    int sum = 0;
    for (int i = 0; i < n; i++) {
      sum += flag[i] ? 1 : 0;
    }
    return sum;
  }

  /** The last learned position in [begin, end), -1 where there is none. */
  private long lastLearned(long begin, long end) {
    boolean[] flag = new boolean[(int) Math.min(BLOCK, end - begin)];
    for (long to = end; to > begin; ) {
      int n = (int) Math.min(flag.length, to - begin);
      source.readLearned(to - n, flag, n);
      for (int i = n - 1; i >= 0; i--) {
        if (flag[i]) {
          return to - n + i;
        }
      }
      to -= n;
    }
    return -1;
  }

  /** Examples that are not left out. */
  int count() {
    return count;
  }

  /** Which example of the source it is. */
  int example(int i) {
    return example[i];
  }

  /** Where one of them comes from, for people. */
  String name(int i) {
    return source.exampleName(example[i]);
  }

  /** Inputs of one of them: 1 … T. */
  int inputs(int i) {
    return inputs[i];
  }

  /** Targets of one of them that count: 1 … T. */
  int targets(int i) {
    return targets[i];
  }

  /** What was cut and left out, a line each. */
  List<String> notes(int seqLen) {
    List<String> notes = new ArrayList<>();
    String of = "%s: %d of " + source.examples() + " examples ";
    if (endsCut + beginningsCut > 0) {
      notes.add(
          (of + "are longer than --seq-len %d: cut at the end%s")
              .formatted(
                  source.name(),
                  endsCut + beginningsCut,
                  seqLen,
                  beginningsCut == 0
                      ? ""
                      : ", %d at the beginning, since all they have to learn stands behind"
                          .formatted(beginningsCut)));
    }
    if (leftOut > 0) {
      notes.add(
          (of + "have nothing to learn and are left out, the first is %s")
              .formatted(source.name(), leftOut, firstLeftOut));
    }
    return notes;
  }

  /**
   * Writes inputs and targets of example {@code i} into row {@code at}, from place {@code offset}
   * on.
   */
  void read(int i, Fields into, int at, int offset) {
    int n = inputs[i];
    int[] id = ids.get();
    source.read(from[i], id, n + 1);
    for (int t = 0; t <= n; t++) {
      if (id[t] < 0 || id[t] >= vocabSize) {
        throw Ids.outside(source.exampleName(example[i]), from[i] + t, id[t], vocabSize);
      }
    }
    MemorySegment.copy(id, 0, into.row(TOKENS, at), ValueLayout.JAVA_INT, 4L * offset, n);
    if (!source.allLearned()) {
      boolean[] flag = flags.get();
      source.readLearned(from[i], flag, n + 1);
      for (int t = 1; t <= n; t++) {
        id[t] = flag[t] ? id[t] : IGNORED;
      }
    }
    MemorySegment.copy(id, 1, into.row(TARGETS, at), ValueLayout.JAVA_INT, 4L * offset, n);
  }
}
