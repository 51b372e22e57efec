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
 * An example a row, filled up to T tokens behind its end: a causal mask keeps it from seeing what
 * fills up, whose targets are {@link BatchLayout#IGNORED}. Examples that are too long are cut, see
 * {@link #notes}.
 *
 * <p>Takes 20 bytes an example. Safe for several threads at once.
 */
public final class PaddedExamples implements Rows {
  private final Cuts cuts;
  private final int seqLen;
  private final BatchLayout layout;
  private final List<String> notes;

  /**
   * @param seqLen T
   * @param vocabSize of the model; a larger id is refused where it is found
   * @throws InputException where no example has anything to learn
   */
  public PaddedExamples(TokenSource source, int seqLen, int vocabSize) {
    this.seqLen = seqLen;
    this.layout = BatchLayout.text(seqLen);
    this.cuts = new Cuts(source, seqLen, vocabSize);
    double all = 0;
    for (int i = 0; i < cuts.count(); i++) {
      all += cuts.inputs(i);
    }
    List<String> lines = new ArrayList<>(cuts.notes(seqLen));
    lines.add(
        String.format(
            Locale.ROOT,
            "%s: %,d examples padded to %d tokens, %.1f %% padding; --packing puts several into a sequence",
            source.name(),
            cuts.count(),
            seqLen,
            100 - 100 * all / ((double) cuts.count() * seqLen)));
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
  public void read(long row, Fields into, int at) {
    int example = Math.toIntExact(row);
    cuts.read(example, into, at, 0);
    MemorySegment tokens = into.row(TOKENS, at);
    MemorySegment targets = into.row(TARGETS, at);
    for (int t = cuts.inputs(example); t < seqLen; t++) {
      tokens.setAtIndex(ValueLayout.JAVA_INT, t, 0);
      targets.setAtIndex(ValueLayout.JAVA_INT, t, IGNORED);
    }
  }
}
