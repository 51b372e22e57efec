package dev.javelin.tensor.op;

import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Tensor;
import java.lang.foreign.MemorySegment;

/** Integers that index something. */
final class Ids {
  private Ids() {}

  /**
   * Requires a contiguous I32 tensor, and where the host can see them, values in {@code [0,
   * limit)}.
   *
   * @param what what an id indexes, for the message: {@code vocabulary}
   * @param ignored a value that is allowed besides
   */
  static void check(String op, String name, Tensor ids, int limit, String what, int ignored) {
    Check check = Check.that(op).dtype(name, ids, DType.I32).contiguous(name, ids);
    switch (ids.device()) {
      case Cpu cpu -> {
        MemorySegment s = ids.segment();
        for (long i = 0; i < ids.elements(); i++) {
          int id = s.getAtIndex(JAVA_INT_UNALIGNED, i);
          if ((id < 0 || id >= limit) && id != ignored) {
            check.is(
                false,
                name
                    + " holds "
                    + id
                    + " at index "
                    + i
                    + ", outside the "
                    + what
                    + " of "
                    + limit);
          }
        }
      }
      case Cuda _ -> {} // seeing them would mean waiting: loaders check what they put there
    }
  }
}
