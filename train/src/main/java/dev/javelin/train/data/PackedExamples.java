package dev.javelin.train.data;

import static dev.javelin.train.data.BatchLayout.IGNORED;
import static dev.javelin.train.data.BatchLayout.POSITIONS;
import static dev.javelin.train.data.BatchLayout.STARTS;
import static dev.javelin.train.data.BatchLayout.TARGETS;
import static dev.javelin.train.data.BatchLayout.TOKENS;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.StringJoiner;

/**
 * Whole examples in rows of T tokens, as many as fit into each. Positions count from 0 in each
 * example, and each sees itself alone, so that packed it is learned as it is alone. What fills a
 * row up is one more document, whose targets are {@link BatchLayout#IGNORED}. Which examples share
 * a row is a function of their lengths and T; rows stand in the order of their first examples.
 * Examples that are too long are cut, see {@link #notes}.
 *
 * <p>Takes 28 bytes an example and 12 a row. Safe for several threads at once.
 */
public final class PackedExamples implements Rows {
  private final Cuts cuts;
  private final BestFit packing;
  private final int seqLen;
  private final BatchLayout layout;
  private final int[] tokens;
  private final int[] targets;
  private final List<String> notes;
  private final ThreadLocal<int[]> numbers;

  /**
   * @param seqLen T
   * @param vocabSize of the model; a larger id is refused where it is found
   * @throws InputException where no example has anything to learn
   */
  public PackedExamples(TokenSource source, int seqLen, int vocabSize) {
    this.seqLen = seqLen;
    this.layout = BatchLayout.packed(seqLen);
    this.cuts = new Cuts(source, seqLen, vocabSize);
    this.packing = BestFit.of(cuts.count(), cuts::inputs, seqLen);
    this.tokens = new int[packing.rows()];
    this.targets = new int[packing.rows()];
    long all = 0;
    for (int row = 0; row < tokens.length; row++) {
      for (int k = packing.begin(row); k < packing.ends()[row]; k++) {
        tokens[row] += cuts.inputs(packing.order()[k]);
        targets[row] += cuts.targets(packing.order()[k]);
      }
      all += tokens[row];
    }
    List<String> lines = new ArrayList<>(cuts.notes(seqLen));
    lines.add(
        String.format(
            Locale.ROOT,
            "%s: %,d examples packed into %,d sequences, %.1f %% padding",
            source.name(),
            cuts.count(),
            tokens.length,
            100 - 100.0 * all / ((double) tokens.length * seqLen)));
    this.notes = List.copyOf(lines);
    this.numbers = ThreadLocal.withInitial(() -> new int[seqLen]);
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
    return tokens.length;
  }

  @Override
  public long targets(long row) {
    return targets[Math.toIntExact(row)];
  }

  @Override
  public long tokens(long row) {
    return tokens[Math.toIntExact(row)];
  }

  @Override
  public long padding(long row) {
    return seqLen - tokens(row);
  }

  @Override
  public String origin(long row) {
    int r = Math.toIntExact(row);
    StringJoiner names = new StringJoiner("; ");
    for (int k = packing.begin(r); k < packing.ends()[r]; k++) {
      names.add(cuts.name(packing.order()[k]));
    }
    return names.toString();
  }

  @Override
  public void read(long row, Fields into, int at) {
    int r = Math.toIntExact(row);
    int place = 0;
    for (int k = packing.begin(r); k < packing.ends()[r]; k++) {
      int example = packing.order()[k];
      cuts.read(example, into, at, place);
      number(into, at, place, cuts.inputs(example));
      place += cuts.inputs(example);
    }
    fill(into.row(TOKENS, at), place, 0);
    fill(into.row(TARGETS, at), place, IGNORED);
    number(into, at, place, seqLen - place);
  }

  /** Writes positions and beginning of a document of {@code length} tokens. */
  private void number(Fields into, int at, int place, int length) {
    int[] n = numbers.get();
    for (int t = 0; t < length; t++) {
      n[t] = t;
    }
    MemorySegment.copy(n, 0, into.row(POSITIONS, at), ValueLayout.JAVA_INT, 4L * place, length);
    MemorySegment starts = into.row(STARTS, at);
    for (int t = place; t < place + length; t++) {
      starts.setAtIndex(ValueLayout.JAVA_INT, t, place);
    }
  }

  private void fill(MemorySegment field, int place, int value) {
    for (int t = place; t < seqLen; t++) {
      field.setAtIndex(ValueLayout.JAVA_INT, t, value);
    }
  }
}
