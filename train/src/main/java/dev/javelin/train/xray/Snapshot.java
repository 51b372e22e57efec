package dev.javelin.train.xray;

import dev.javelin.device.Memory;
import dev.javelin.tensor.Lease;
import dev.javelin.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/** Copies of tensors on their device, to compare with or to put back. */
final class Snapshot implements AutoCloseable {
  private final List<Tensor> originals = new ArrayList<>();
  private final List<Memory> copies = new ArrayList<>();

  /** Copies a contiguous tensor. */
  void take(Tensor t) {
    Memory memory = t.device().allocate(t.dtype().bytes(t.elements()));
    copies.add(memory);
    originals.add(t);
    Tensor.of(memory, 0, t.dtype(), t.shape()).copyFrom(t);
  }

  /** What a contiguous part of one of them was. */
  Tensor before(Tensor part) {
    for (int i = 0; i < originals.size(); i++) {
      Tensor whole = originals.get(i);
      long from = part.offset() - whole.offset();
      if (part.memory() == whole.memory()
          && from >= 0
          && from < whole.dtype().bytes(whole.elements())) {
        return new Tensor(copies.get(i), from, part.layout(), part.dtype(), Lease.UNLIMITED);
      }
    }
    throw new IllegalArgumentException(part.form() + " is no part of what was copied");
  }

  /** Makes all of them what they were. */
  void putBack() {
    for (int i = 0; i < originals.size(); i++) {
      Tensor t = originals.get(i);
      t.copyFrom(Tensor.of(copies.get(i), 0, t.dtype(), t.shape()));
    }
  }

  @Override
  public void close() {
    copies.forEach(Memory::close);
  }
}
