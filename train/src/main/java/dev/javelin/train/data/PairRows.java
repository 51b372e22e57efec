package dev.javelin.train.data;

import static dev.javelin.train.data.BatchLayout.IGNORED;
import static dev.javelin.train.data.BatchLayout.TARGETS;
import static dev.javelin.train.data.BatchLayout.TOKENS;

import dev.javelin.train.data.BatchLayout.Field;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Preferences: a row is a prompt with the better answer and the same with the worse, each filled up
 * to T tokens.
 *
 * <pre>
 * tokens           I32 [B, 2, T]   the chosen one first
 * targets          I32 [B, 2, T]   the answer's; {@link BatchLayout#IGNORED} elsewhere
 * inverse_lengths  F32 [B, 2]      1 / how many of them count
 * weight           F32 [B, 1]      1; 0 in a row that fills a batch up
 * </pre>
 *
 * A pair of which one is left out is left out (see {@link PaddedExamples}). Safe for several
 * threads at once.
 */
public final class PairRows implements Rows {
  /** F32 [B, 2]: 1 / the targets of each answer. */
  public static final String INVERSE_LENGTHS = "inverse_lengths";

  /** F32 [B, 1]: 1 for a pair, 0 for none. */
  public static final String WEIGHT = "weight";

  private final Cuts chosen;
  private final Cuts rejected;
  private final int seqLen;
  private final BatchLayout layout;
  private final int[] better;
  private final int[] worse;
  private final List<String> notes;

  /**
   * @param pairs the answers are learned
   * @param seqLen T
   * @param vocabSize of the model; a larger id is refused where it is found
   * @throws InputException where there is no pair
   */
  public PairRows(AnswerPairs pairs, int seqLen, int vocabSize) {
    this.chosen = new Cuts(pairs.chosen(), seqLen, vocabSize);
    this.rejected = new Cuts(pairs.rejected(), seqLen, vocabSize);
    this.seqLen = seqLen;
    this.layout =
        BatchLayout.of(
            Field.ints(TOKENS, 2, seqLen),
            Field.ints(TARGETS, 2, seqLen).blank(IGNORED),
            Field.floats(INVERSE_LENGTHS, 2),
            Field.floats(WEIGHT, 1));
    int[] left = new int[Math.min(this.chosen.count(), this.rejected.count())];
    int[] right = new int[left.length];
    int n = 0;
    for (int i = 0, k = 0; i < this.chosen.count() && k < this.rejected.count(); ) {
      int order = Integer.compare(this.chosen.example(i), this.rejected.example(k));
      if (order == 0) {
        left[n] = i;
        right[n++] = k;
      }
      i += order <= 0 ? 1 : 0;
      k += order >= 0 ? 1 : 0;
    }
    if (n == 0) {
      throw new InputException(pairs.name() + ": no pair has answers to learn from on both sides");
    }
    this.better = Arrays.copyOf(left, n);
    this.worse = Arrays.copyOf(right, n);
    List<String> lines = new ArrayList<>(this.chosen.notes(seqLen));
    lines.addAll(this.rejected.notes(seqLen));
    this.notes = List.copyOf(lines);
  }

  @Override
  public List<String> notes() {
    return notes;
  }

  @Override
  public BatchLayout layout() {
    return layout;
  }

  @Override
  public long count() {
    return better.length;
  }

  /** A pair is one. */
  @Override
  public long targets(long row) {
    return 1;
  }

  @Override
  public long tokens(long row) {
    int r = Math.toIntExact(row);
    return chosen.inputs(better[r]) + rejected.inputs(worse[r]);
  }

  @Override
  public long padding(long row) {
    return 2L * seqLen - tokens(row);
  }

  @Override
  public String origin(long row) {
    return chosen.name(better[Math.toIntExact(row)]);
  }

  @Override
  public void read(long row, Fields into, int at) {
    int r = Math.toIntExact(row);
    read(chosen, better[r], into, at, 0);
    read(rejected, worse[r], into, at, 1);
    into.row(WEIGHT, at).set(ValueLayout.JAVA_FLOAT, 0, 1);
  }

  private void read(Cuts cuts, int example, Fields into, int at, int side) {
    cuts.read(example, into, at, side * seqLen);
    MemorySegment tokens = into.row(TOKENS, at);
    MemorySegment targets = into.row(TARGETS, at);
    for (int t = cuts.inputs(example); t < seqLen; t++) {
      tokens.setAtIndex(ValueLayout.JAVA_INT, side * seqLen + t, 0);
      targets.setAtIndex(ValueLayout.JAVA_INT, side * seqLen + t, IGNORED);
    }
    into.row(INVERSE_LENGTHS, at)
        .setAtIndex(ValueLayout.JAVA_FLOAT, side, 1f / cuts.targets(example));
  }
}
