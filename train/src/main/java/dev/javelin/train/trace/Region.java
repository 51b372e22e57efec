package dev.javelin.train.trace;

import dev.javelin.device.DType;
import dev.javelin.tensor.Shape;
import org.jspecify.annotations.Nullable;

/**
 * A piece of memory with a name.
 *
 * @param type of its elements; {@code null} where it is no tensor but bytes
 */
record Region(String name, long address, long bytes, @Nullable DType type, Shape shape) {

  boolean contains(long a) {
    return a >= address && a < address + bytes;
  }

  /** {@code x[0, 4..7]}, or {@code state+8}. */
  String place(long a, int size) {
    long offset = a - address;
    if (type == null || offset % type.byteSize() != 0) {
      return name + "+" + offset;
    }
    long first = offset / type.byteSize();
    long count = Math.max(1, size / type.byteSize());
    StringBuilder index = new StringBuilder();
    for (int i = 0; i < shape.rank() - 1; i++) {
      long below = 1;
      for (int j = i + 1; j < shape.rank(); j++) {
        below *= shape.dim(j);
      }
      index.append(first / below % shape.dim(i)).append(", ");
    }
    long last = shape.rank() == 0 ? 0 : first % shape.last();
    index.append(count == 1 ? last : last + ".." + (last + count - 1));
    return name + "[" + index + "]";
  }

  /** {@code x f32 [4, 256]}. */
  @Override
  public String toString() {
    return type == null ? name + ", " + bytes + " bytes" : name + " " + type.suffix() + " " + shape;
  }
}
