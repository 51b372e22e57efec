package dev.javelin.train.data;

import static dev.javelin.train.data.BatchLayout.IGNORED;
import static dev.javelin.train.data.BatchLayout.TARGETS;
import static dev.javelin.train.data.BatchLayout.TOKENS;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * An example a row, filled up behind its end: a causal mask keeps it from seeing what fills up,
 * whose targets are {@link BatchLayout#IGNORED}. Rows have eighths of T tokens, as many as the
 * longest of a batch needs; {@link Order#grouped} brings rows of like length together. Examples
 * that are too long are cut, see {@link #notes}.
 *
 * <p>Takes 20 bytes an example. Safe for several threads at once.
 */
public final class PaddedExamples implements Rows {
  private static final int WIDTHS = 8;

  private final Cuts cuts;
  private final int seqLen;
  private final List<BatchLayout> layouts;
  private final int unit;
  private final List<String> notes;

  /**
   * @param seqLen T
   * @param vocabSize of the model; a larger id is refused where it is found
   * @throws InputException where no example has anything to learn
   */
  public PaddedExamples(TokenSource source, int seqLen, int vocabSize) {
    this.seqLen = seqLen;
    this.unit = Math.ceilDiv(seqLen, WIDTHS);
    List<BatchLayout> widths = new ArrayList<>();
    for (int width = unit; width < seqLen; width += unit) {
      widths.add(BatchLayout.text(width));
    }
    widths.add(BatchLayout.text(seqLen));
    this.layouts = List.copyOf(widths);
    this.cuts = new Cuts(source, seqLen, vocabSize);
    List<String> lines = new ArrayList<>(cuts.notes(seqLen));
    lines.add(
        String.format(
            Locale.ROOT,
            "%s: %,d examples padded to %s tokens; --packing puts several into a sequence",
            source.name(),
            cuts.count(),
            unit == seqLen ? seqLen : unit + ", " + 2 * unit + " … " + seqLen));
    this.notes = List.copyOf(lines);
  }

  @Override
  public List<String> notes() {
    return notes;
  }

  @Override
  public BatchLayout layout() {
    return layouts.getLast();
  }

  @Override
  public List<BatchLayout> layouts() {
    return layouts;
  }

  @Override
  public int fits(long row) {
    return (cuts.inputs(Math.toIntExact(row)) - 1) / unit;
  }

  @Override
  public long count() {
    return cuts.count();
  }

  @Override
  public long targets(long row) {
    return cuts.targets(Math.toIntExact(row));
  }

  @Override
  public long tokens(long row) {
    return cuts.inputs(Math.toIntExact(row));
  }

  @Override
  public long padding(long row) {
    return seqLen - tokens(row);
  }

  @Override
  public String origin(long row) {
    return cuts.name(Math.toIntExact(row));
  }

  @Override
  public void read(long row, Fields into, int at) {
    int example = Math.toIntExact(row);
    cuts.read(example, into, at, 0);
    int width = (int) into.get(TOKENS).dim(1);
    MemorySegment tokens = into.row(TOKENS, at);
    MemorySegment targets = into.row(TARGETS, at);
    for (int t = cuts.inputs(example); t < width; t++) {
      tokens.setAtIndex(ValueLayout.JAVA_INT, t, 0);
      targets.setAtIndex(ValueLayout.JAVA_INT, t, IGNORED);
    }
  }
}
