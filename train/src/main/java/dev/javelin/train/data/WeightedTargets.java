package dev.javelin.train.data;

import static dev.javelin.train.data.BatchLayout.IGNORED;
import static dev.javelin.train.data.BatchLayout.TARGETS;

import dev.javelin.train.data.BatchLayout.Field;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * Rows of text, with one more field that says which targets count: {@link #WEIGHTS}, F32 [B, T], 1
 * or 0. For objectives that compare more than the target's own probability.
 */
public final class WeightedTargets implements Rows {
  /** F32 [B, T]: 1 where the target counts. */
  public static final String WEIGHTS = "weights";

  private final Rows rows;
  private final BatchLayout layout;

  public WeightedTargets(Rows rows) {
    this.rows = rows;
    List<Field> fields = new ArrayList<>(rows.layout().fields());
    Field targets = fields.stream().filter(f -> f.name().equals(TARGETS)).findFirst().orElseThrow();
    fields.add(Field.floats(WEIGHTS, targets.row().toArray()));
    this.layout = new BatchLayout(fields);
  }

  @Override
  public BatchLayout layout() {
    return layout;
  }

  @Override
  public long count() {
    return rows.count();
  }

  @Override
  public long targets(long row) {
    return rows.targets(row);
  }

  @Override
  public long tokens(long row) {
    return rows.tokens(row);
  }

  @Override
  public long padding(long row) {
    return rows.padding(row);
  }

  @Override
  public String origin(long row) {
    return rows.origin(row);
  }

  @Override
  public List<String> notes() {
    return rows.notes();
  }

  @Override
  public void read(long row, Fields into, int at) {
    rows.read(row, into, at);
    MemorySegment targets = into.row(TARGETS, at);
    MemorySegment weights = into.row(WEIGHTS, at);
    for (long i = 0; i < targets.byteSize() / Integer.BYTES; i++) {
      boolean counts = targets.getAtIndex(ValueLayout.JAVA_INT, i) != IGNORED;
      weights.setAtIndex(ValueLayout.JAVA_FLOAT, i, counts ? 1 : 0);
    }
  }
}
