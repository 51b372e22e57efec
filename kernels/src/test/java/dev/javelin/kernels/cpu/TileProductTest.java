package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.Test;

/**
 * Products of small matrices against plain loops, to the bit: what this machine runs, and the
 * machine code interpreted, which may touch nothing but its operands.
 */
class TileProductTest {
  private static final int LANES = 16;

  /**
   * Operands in memory.
   *
   * @param aRow floats from a row of A to the next; {@code aStep}: from an element to the next
   */
  private record Case(
      int rows,
      int cols,
      int depth,
      int aRow,
      int aStep,
      int bRow,
      int cRow,
      boolean add,
      MemorySegment a,
      MemorySegment b,
      MemorySegment c,
      MemorySegment before) {
    static Case of(Arena arena, int rows, int cols, int depth, boolean add, Random random) {
      boolean across = random.nextBoolean();
      int pad = random.nextInt(40);
      int aRow = across ? 1 : depth + pad;
      int aStep = across ? rows + pad : 1;
      int bRow = cols + random.nextInt(3) * 7;
      int cRow = cols + random.nextInt(3) * 5;
      int aSize = (rows - 1) * aRow + Math.max(0, depth - 1) * aStep + 1;
      MemorySegment c = numbers(arena, rows * cRow, random);
      return new Case(
          rows,
          cols,
          depth,
          aRow,
          aStep,
          bRow,
          cRow,
          add,
          numbers(arena, aSize, random),
          numbers(arena, Math.max(1, depth) * bRow, random),
          c,
          arena.allocate(c.byteSize(), 4).copyFrom(c));
    }

    /** Each element a chain over ascending k; what lies between the rows of C stays. */
    void check() {
      for (int i = 0; i < rows; i++) {
        for (int j = 0; j < cRow; j++) {
          long at = (long) i * cRow + j;
          float want = before.getAtIndex(JAVA_FLOAT, at);
          if (j < cols) {
            want = add ? want : 0;
            for (int k = 0; k < depth; k++) {
              float x = a.getAtIndex(JAVA_FLOAT, (long) i * aRow + (long) k * aStep);
              want = Math.fma(x, b.getAtIndex(JAVA_FLOAT, (long) k * bRow + j), want);
            }
          }
          assertThat(c.getAtIndex(JAVA_INT, at))
              .as("C[%d, %d] of %s", i, j, this)
              .isEqualTo(Float.floatToRawIntBits(want));
        }
      }
    }
  }

  @Test
  void hasTheBitsOfChainsInTheOrderOfK() {
    Random random = new Random(7);
    try (Arena arena = Arena.ofConfined()) {
      for (int rows = 1; rows <= 20; rows++) {
        for (int vectors = 1; vectors <= 9; vectors++) {
          int depth = random.nextInt(9) == 0 ? 0 : 1 + random.nextInt(40);
          int cols = vectors * Lanes.COUNT;
          Case x = Case.of(arena, rows, cols, depth, random.nextBoolean(), random);
          TileProduct.multiply(
              x.c,
              0,
              4L * x.cRow,
              x.a,
              0,
              4L * x.aRow,
              4L * x.aStep,
              x.b,
              0,
              4L * x.bRow,
              rows,
              vectors,
              depth,
              x.add);
          x.check();
        }
      }
    }
  }

  @Test
  void machineCodeHasThemTooAndTouchesNothingElse() {
    Random random = new Random(8);
    for (int rows = 1; rows <= TileProductCode.ROWS; rows++) {
      for (int vectors = 1; vectors <= TileProductCode.VECTORS; vectors++) {
        try (Arena arena = Arena.ofConfined()) {
          int tiles = 1 + (rows + vectors) % 3;
          int cols = vectors * LANES;
          int depth = 1 + random.nextInt(5);
          boolean add = random.nextBoolean();
          Case x = Case.of(arena, rows * tiles, cols, depth, add, random);
          X86Machine machine = new X86Machine(TileProductCode.code(add, rows, vectors));
          for (int i = 0; i < x.rows; i++) {
            machine.memory(x.c.asSlice(4L * i * x.cRow, 4L * cols));
            for (int k = 0; k < depth; k++) {
              machine.memory(x.a.asSlice(4L * (i * x.aRow + k * x.aStep), 4).asReadOnly());
            }
          }
          for (int k = 0; k < depth; k++) {
            machine.memory(x.b.asSlice(4L * k * x.bRow, 4L * cols).asReadOnly());
          }
          machine.run(
              x.c.address(),
              x.a.address(),
              x.b.address(),
              4L * x.aRow | 4L * x.cRow << 32,
              4L * x.aStep | 4L * x.bRow << 32,
              depth | (long) tiles << 32);
          assertThat(machine.upperHalvesAreClean()).isTrue();
          x.check();
        }
      }
    }
  }

  /** Of very different sizes, some subnormal. */
  static MemorySegment numbers(Arena arena, int n, Random random) {
    MemorySegment x = arena.allocate(4L * n, 4);
    for (int i = 0; i < n; i++) {
      int scale = random.nextInt(8) == 0 ? -140 : random.nextInt(60) - 30;
      x.setAtIndex(JAVA_FLOAT, i, Math.scalb((float) random.nextGaussian(), scale));
    }
    return x;
  }
}
