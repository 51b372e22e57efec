package dev.javelin.train.data;

import static dev.javelin.train.data.BatchLayout.IGNORED;
import static dev.javelin.train.data.BatchLayout.TARGETS;
import static dev.javelin.train.data.BatchLayout.TOKENS;

import dev.javelin.device.DType;
import dev.javelin.device.HostMemory;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.Safetensors;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;

/**
 * The rows at some places of a source, read once more, in memory of their own: for a look at what a
 * step has learned from.
 */
public final class ReadRows implements AutoCloseable {
  private final BatchSource source;
  private final long place;
  private final int rows;
  private final HostMemory memory;
  private final Fields fields;

  public ReadRows(BatchSource source, long place, int rows) {
    this.source = source;
    this.place = place;
    this.rows = rows;
    this.memory = HostMemory.unowned(source.layout().bytes(rows));
    this.fields = new Fields(source.layout(), rows, memory);
    source.fill(place, rows, fields);
  }

  /**
   * Writes all fields, and {@code places} I64 [rows].
   *
   * @param notes for whoever opens the file
   */
  public void save(Path file, Map<String, String> notes) {
    List<Safetensors.Item> items = new ArrayList<>();
    for (BatchLayout.Field field : source.layout().fields()) {
      Tensor t = fields.get(field.name());
      items.add(new Safetensors.Item(field.name(), field.type(), t.shape(), t::segment));
    }
    long[] places = LongStream.range(place, place + rows).toArray();
    items.add(
        new Safetensors.Item(
            "places",
            DType.I64,
            Shape.of(rows),
            () -> {
              HostMemory copy = HostMemory.unowned(DType.I64.bytes(rows));
              MemorySegment.copy(places, 0, copy.segment(), ValueLayout.JAVA_LONG, 0, rows);
              return copy.segment();
            }));
    Safetensors.write(file, notes, items);
  }

  /** A sequence of a row; rows of preferences have two. */
  public record Sequence(long place, String origin, int[] ids) {}

  /** The ids of all rows, each up to its last target; none where rows have no tokens. */
  public List<Sequence> sequences() {
    List<Sequence> all = new ArrayList<>();
    if (!source.layout().has(TOKENS)) {
      return all;
    }
    int width = fields.get(TOKENS).dim(-1);
    for (int r = 0; r < rows; r++) {
      int[] tokens = fields.row(TOKENS, r).toArray(ValueLayout.JAVA_INT);
      int[] targets =
          source.layout().has(TARGETS)
              ? fields.row(TARGETS, r).toArray(ValueLayout.JAVA_INT)
              : new int[0];
      for (int from = 0; from < tokens.length; from += width) {
        String origin = source.origin(place + r);
        all.add(new Sequence(place + r, origin, ids(tokens, targets, from, width)));
      }
    }
    return all;
  }

  private static int[] ids(int[] tokens, int[] targets, int from, int width) {
    if (targets.length < from + width) {
      return Arrays.copyOfRange(tokens, from, from + width);
    }
    int end = width;
    while (end > 0 && targets[from + end - 1] == IGNORED) {
      end--;
    }
    int[] ids = Arrays.copyOfRange(tokens, from, from + end + 1);
    if (end > 0) {
      ids[end] = targets[from + end - 1];
    }
    return end == 0 ? Arrays.copyOf(ids, 0) : ids;
  }

  @Override
  public void close() {
    memory.close();
  }
}
