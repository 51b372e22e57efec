package dev.javelin.train.data;

import dev.javelin.device.Memory;
import dev.javelin.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The fields of a batch in one block of memory, by name. Those in host memory are filled row by
 * row; several threads may fill different rows.
 */
public final class Fields {
  private final BatchLayout layout;
  private final int rows;
  private final Map<String, Tensor> tensors = new LinkedHashMap<>();

  /**
   * @param memory of at least the layout's bytes; its owner keeps it
   */
  Fields(BatchLayout layout, int rows, Memory memory) {
    this.layout = layout;
    this.rows = rows;
    long offset = 0;
    for (BatchLayout.Field f : layout.fields()) {
      tensors.put(f.name(), Tensor.of(memory, offset, f.type(), BatchLayout.shape(f, rows)));
      offset += BatchLayout.bytes(f, rows);
    }
  }

  public BatchLayout layout() {
    return layout;
  }

  /** B. */
  public int rows() {
    return rows;
  }

  /**
   * A field, [B, …]; always the same memory.
   *
   * @throws IllegalArgumentException where the batch has none of that name
   */
  public Tensor get(String name) {
    Tensor t = tensors.get(name);
    if (t == null) {
      throw new IllegalArgumentException(
          "a batch has no field " + name + ", it has " + String.join(", ", tensors.keySet()));
    }
    return t;
  }

  /** The memory of one row of a field of the host. */
  public MemorySegment row(String name, int row) {
    Tensor t = get(name);
    long bytes = t.dtype().bytes(t.elements() / rows);
    return t.segment().asSlice(row * bytes, bytes);
  }

  /** Makes a row of all fields one that does not count. */
  public void blank(int row) {
    for (BatchLayout.Field f : layout.fields()) {
      MemorySegment s = row(f.name(), row);
      for (long i = 0; i < f.row().elements(); i++) {
        switch (f.type()) {
          case I32 -> s.setAtIndex(ValueLayout.JAVA_INT, i, f.blank());
          case F32 -> s.setAtIndex(ValueLayout.JAVA_FLOAT, i, f.blank());
          case F16, BF16, I64, U8 -> throw new AssertionError(f);
        }
      }
    }
  }
}
