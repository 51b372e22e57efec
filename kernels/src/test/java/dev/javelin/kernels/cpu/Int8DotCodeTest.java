package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.kernels.Quantization;
import dev.javelin.kernels.cpu.Int8DotCode.Extent;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The machine code, interpreted: on any machine, and byte by byte in bounds. */
class Int8DotCodeTest {
  private static final int GROUPS = 2;
  private static final int BLOCK = 64;

  @ParameterizedTest
  @EnumSource
  void everyHeightHasTheBitsOfPlainLoops(Quantization weights) {
    Random random = new Random(weights.label().length());
    for (int rows = 1; rows <= Int8DotCode.maxRows(weights); rows++) {
      for (int streams = 1; streams <= Int8DotCode.streams(weights, rows); streams++) {
        check(weights, rows, streams, Extent.WHOLE, 192, random);
        if (weights == Quantization.INT8) {
          check(weights, rows, streams, Extent.WHOLE_AND_REST, 65 + random.nextInt(63), random);
          check(weights, rows, streams, Extent.REST, 1 + random.nextInt(63), random);
        }
      }
    }
  }

  @Test
  void refusesWhatDoesNotFitTheRegisters() {
    assertThatThrownBy(() -> Int8DotCode.code(Quantization.INT8, 8, 4, Extent.WHOLE))
        .hasMessage("int8 dot products: 8 x 4 of INT8 do not fit the registers");
    assertThatThrownBy(() -> Int8DotCode.code(Quantization.NF4, 1, 1, Extent.REST))
        .hasMessageContaining("whole blocks");
  }

  private static void check(
      Quantization weights, int rows, int streams, Extent extent, int k, Random random) {
    String what = "%s, %d x %d, k %d".formatted(weights, rows, streams, k);
    int blocks = Int8Activations.blocks(k);
    int bRow = weights == Quantization.NF4 ? k / 2 : k;
    int bRows = streams * GROUPS;
    try (Arena arena = Arena.ofConfined()) {
      int[][] codes = new int[rows][blocks * BLOCK]; // of A, in the order of the lanes
      MemorySegment a = arena.allocate((long) blocks * Int8Activations.blockBytes(rows), 64);
      for (int i = 0; i < rows; i++) {
        for (int block = 0; block < blocks; block++) {
          long at = (long) block * Int8Activations.blockBytes(rows);
          for (int p = 0; p < BLOCK; p++) {
            int code = block * BLOCK + p < k ? random.nextInt(255) - 127 : 0;
            codes[i][block * BLOCK + p] = code;
            a.set(JAVA_BYTE, at + Int8Activations.codesAt(i) + p, (byte) code);
            long start = at + Int8Activations.startAt(i) + p / 4 * 4L;
            a.set(JAVA_INT, start, a.get(JAVA_INT, start) - 128 * code);
          }
          a.set(JAVA_FLOAT, at + Int8Activations.scaleAt(rows, i), random.nextFloat());
        }
      }
      byte[] drawn = new byte[bRows * bRow];
      random.nextBytes(drawn);
      MemorySegment b = arena.allocate(drawn.length, 1).copyFrom(MemorySegment.ofArray(drawn));
      MemorySegment factors = arena.allocate(4L * bRows * blocks, 4);
      for (int i = 0; i < bRows * blocks; i++) {
        factors.setAtIndex(JAVA_FLOAT, i, random.nextFloat());
      }
      byte[] tables = Int8DotCode.tables(weights);
      MemorySegment constants = arena.allocate(tables.length, 64);
      constants.copyFrom(MemorySegment.ofArray(tables));
      int stride = bRows + 3;
      MemorySegment c = arena.allocate(4L * rows * stride, 4);
      MemorySegment own = arena.allocate(DotProductCode.PARAMETER_BYTES, 8);
      own.set(JAVA_LONG, DotProductCode.C, c.address());
      own.set(JAVA_LONG, DotProductCode.C_ROW, 4L * stride);
      own.set(JAVA_LONG, DotProductCode.C_APART, 4L * GROUPS);
      own.set(JAVA_LONG, DotProductCode.A, a.address());
      own.set(JAVA_LONG, DotProductCode.LOOPS, k / BLOCK);
      own.set(JAVA_LONG, DotProductCode.B, b.address());
      own.set(JAVA_LONG, DotProductCode.APART, (long) GROUPS * bRow);
      own.set(JAVA_LONG, DotProductCode.GAP, k % BLOCK);
      own.set(JAVA_LONG, DotProductCode.GROUPS, GROUPS);
      own.set(JAVA_LONG, DotProductCode.FACTORS, factors.address());
      own.set(JAVA_LONG, DotProductCode.FACTORS_APART, 4L * GROUPS * blocks);
      own.set(JAVA_LONG, DotProductCode.CONSTANTS, constants.address());
      own.set(JAVA_LONG, DotProductCode.MASK, (1L << k % BLOCK) - 1);
      X86Machine machine = new X86Machine(Int8DotCode.code(weights, rows, streams, extent));
      machine.memory(own.asReadOnly(), a.asReadOnly(), b.asReadOnly(), constants.asReadOnly());
      machine.memory(factors.asReadOnly());
      for (int i = 0; i < rows; i++) {
        machine.memory(c.asSlice(4L * i * stride, 4L * bRows));
      }
      machine.run(own.address());
      assertThat(machine.upperHalvesAreClean()).isTrue();
      for (int i = 0; i < rows; i++) {
        for (int j = 0; j < bRows; j++) {
          float[] sums = new float[16];
          for (int block = 0; block < blocks; block++) {
            long at = (long) block * Int8Activations.blockBytes(rows);
            float scale = a.get(JAVA_FLOAT, at + Int8Activations.scaleAt(rows, i));
            float factor =
                weights == Quantization.NF4
                    ? factors.getAtIndex(JAVA_FLOAT, (long) j * blocks + block)
                    : 1;
            for (int l = 0; l < 16; l++) {
              int t = 0;
              for (int p = block * BLOCK + 4 * l; p < block * BLOCK + 4 * l + 4; p++) {
                t += codes[i][p] * (p < k ? code(weights, drawn, j * bRow, p) : 0);
              }
              sums[l] = Math.fma(t * factor, scale, sums[l]);
            }
          }
          for (int width = 8; width > 0; width /= 2) {
            for (int l = 0; l < width; l++) {
              sums[l] += sums[l + width];
            }
          }
          assertThat(c.getAtIndex(JAVA_FLOAT, (long) i * stride + j))
              .as("%s: C[%d, %d]", what, i, j)
              .isEqualTo(sums[0]);
        }
      }
    }
  }

  /** The code that lane p / 4 of a block multiplies: of NF4, even elements come first. */
  private static int code(Quantization weights, byte[] b, int row, int p) {
    if (weights == Quantization.INT8) {
      return b[row + p];
    }
    int two = b[row + p / BLOCK * (BLOCK / 2) + p % (BLOCK / 2)] & 0xff;
    return Quantization.level127(p % BLOCK < BLOCK / 2 ? two >> 4 : two & 15);
  }
}
