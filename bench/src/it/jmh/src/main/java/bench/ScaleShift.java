package bench;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.nio.ByteOrder.LITTLE_ENDIAN;

import dev.javelin.device.Cpu;
import dev.javelin.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/** {@code y[r,c] = x[r,c]·a[c] + b[c]}, fp32: a plain loop, and one of the Vector API. */
final class ScaleShift {
  private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
  private static final int GRAIN = 16; // rows

  private ScaleShift() {}

  static void plain(Cpu cpu, Tensor y, Tensor x, Tensor a, Tensor b) {
    int cols = x.last();
    MemorySegment ys = y.segment();
    MemorySegment xs = x.segment();
    MemorySegment as = a.segment();
    MemorySegment bs = b.segment();
    cpu.parallel(
        x.rows(),
        GRAIN,
        (from, to) -> {
          for (int r = from; r < to; r++) {
            long row = (long) r * cols;
            for (int c = 0; c < cols; c++) {
              float v = Math.fma(xs.getAtIndex(JAVA_FLOAT, row + c), at(as, c), at(bs, c));
              ys.setAtIndex(JAVA_FLOAT, row + c, v);
            }
          }
        });
  }

  static void vectors(Cpu cpu, Tensor y, Tensor x, Tensor a, Tensor b) {
    int cols = x.last();
    int whole = SPECIES.loopBound(cols);
    MemorySegment ys = y.segment();
    MemorySegment xs = x.segment();
    MemorySegment as = a.segment();
    MemorySegment bs = b.segment();
    cpu.parallel(
        x.rows(),
        GRAIN,
        (from, to) -> {
          for (int r = from; r < to; r++) {
            long row = (long) r * cols;
            int c = 0;
            for (; c < whole; c += SPECIES.length()) {
              load(xs, row + c)
                  .fma(load(as, c), load(bs, c))
                  .intoMemorySegment(ys, 4 * (row + c), LITTLE_ENDIAN);
            }
            for (; c < cols; c++) {
              float v = Math.fma(xs.getAtIndex(JAVA_FLOAT, row + c), at(as, c), at(bs, c));
              ys.setAtIndex(JAVA_FLOAT, row + c, v);
            }
          }
        });
  }

  private static float at(MemorySegment s, long i) {
    return s.getAtIndex(JAVA_FLOAT, i);
  }

  private static FloatVector load(MemorySegment s, long i) {
    return FloatVector.fromMemorySegment(SPECIES, s, 4 * i, LITTLE_ENDIAN);
  }
}
