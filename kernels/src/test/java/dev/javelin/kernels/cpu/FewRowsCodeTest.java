package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.kernels.Quantization;
import dev.javelin.kernels.cpu.FewRowsCode.Weights;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The machine code, interpreted: on any machine, and byte by byte in bounds. */
class FewRowsCodeTest {
  private static final int GROUPS = 2;

  @ParameterizedTest
  @EnumSource(Weights.class)
  void everyHeightHasTheBitsOfPlainLoops(Weights weights) {
    Random random = new Random(weights.bytes);
    for (int rows = 1; rows <= FewRowsCode.maxRows(weights); rows++) {
      for (int streams = 1; streams <= FewRowsCode.streams(rows); streams++) {
        for (int k : new int[] {64, 192}) {
          check(weights, rows, streams, FewRowsCode.unroll(weights, k), k, random);
        }
        if (weights != Weights.NF4) {
          check(weights, rows, streams, 1, 16, random);
        }
      }
    }
  }

  @Test
  void refusesWhatDoesNotFitTheRegisters() {
    assertThatThrownBy(() -> FewRowsCode.code(Weights.INT8, 8, 4, 1))
        .hasMessage("few rows: 8 x 4 of INT8 do not fit the registers");
  }

  private static void check(
      Weights weights, int rows, int streams, int unroll, int k, Random random) {
    String what = "%s, %d x %d, k %d by %d".formatted(weights, rows, streams, k, unroll);
    int bRow = k / 16 * weights.bytes;
    int gap = random.nextInt(2) * 3;
    int factorsOfRow = weights == Weights.NF4 ? k / Quantization.BLOCK : 1;
    try (Arena arena = Arena.ofConfined()) {
      int bRows = streams * GROUPS;
      MemorySegment a = floats(arena, random, rows * k);
      MemorySegment b = bytes(arena, random, weights, bRows * (bRow + gap));
      MemorySegment factors = floats(arena, random, bRows * factorsOfRow);
      MemorySegment constants = arena.allocate(FewRowsCode.tables().length, 64);
      constants.copyFrom(MemorySegment.ofArray(FewRowsCode.tables()));
      int stride = bRows + 3;
      MemorySegment c = floats(arena, random, rows * stride);
      MemorySegment before = arena.allocate(c.byteSize(), 4).copyFrom(c);
      MemorySegment own = arena.allocate(FewRowsCode.PARAMETER_BYTES, 8);
      own.set(JAVA_LONG, FewRowsCode.C, c.address());
      own.set(JAVA_LONG, FewRowsCode.C_ROW, 4L * stride);
      own.set(JAVA_LONG, FewRowsCode.C_APART, 4L * GROUPS);
      own.set(JAVA_LONG, FewRowsCode.A, a.address());
      own.set(JAVA_LONG, FewRowsCode.LOOPS, k / 16 / unroll);
      own.set(JAVA_LONG, FewRowsCode.B, b.address());
      own.set(JAVA_LONG, FewRowsCode.APART, (long) GROUPS * (bRow + gap));
      own.set(JAVA_LONG, FewRowsCode.GAP, gap);
      own.set(JAVA_LONG, FewRowsCode.GROUPS, GROUPS);
      own.set(JAVA_LONG, FewRowsCode.FACTORS, factors.address());
      own.set(JAVA_LONG, FewRowsCode.FACTORS_APART, 4L * GROUPS * factorsOfRow);
      own.set(JAVA_LONG, FewRowsCode.CONSTANTS, constants.address());
      X86Machine machine = new X86Machine(FewRowsCode.code(weights, rows, streams, unroll));
      machine.memory(own.asReadOnly(), a.asReadOnly(), constants.asReadOnly());
      machine.memory(factors.asReadOnly());
      for (int j = 0; j < bRows; j++) { // nothing between the rows
        machine.memory(b.asSlice((long) j * (bRow + gap), bRow).asReadOnly());
      }
      for (int i = 0; i < rows; i++) {
        machine.memory(c.asSlice(4L * i * stride, 4L * bRows));
      }
      machine.run(own.address());
      assertThat(machine.upperHalvesAreClean()).isTrue();
      for (int i = 0; i < rows; i++) {
        for (int j = 0; j < stride; j++) {
          float got = c.getAtIndex(JAVA_FLOAT, (long) i * stride + j);
          float want =
              j < bRows
                  ? sum(weights, a, i, rows, k, b, (long) j * (bRow + gap), factors, j)
                  : before.getAtIndex(JAVA_FLOAT, (long) i * stride + j);
          if (Float.floatToRawIntBits(got) != Float.floatToRawIntBits(want)) {
            throw new AssertionError(
                "%s: C[%d, %d] is %a, should be %a".formatted(what, i, j, got, want));
          }
        }
      }
    }
  }

  private static float sum(
      Weights weights,
      MemorySegment a,
      int i,
      int rows,
      int k,
      MemorySegment b,
      long row,
      MemorySegment factors,
      int j) {
    float[] chains = new float[16];
    for (int p = 0; p < k; p++) {
      float x = a.getAtIndex(JAVA_FLOAT, (long) (p / 16 * rows + i) * 16 + p % 16);
      float w = element(weights, b, row, p, k, factors, j);
      chains[p % 16] = Math.fma(x, w, chains[p % 16]);
    }
    for (int width = 8; width > 0; width /= 2) {
      for (int l = 0; l < width; l++) {
        chains[l] += chains[l + width];
      }
    }
    return chains[0];
  }

  private static float element(
      Weights weights, MemorySegment b, long row, int p, int k, MemorySegment factors, int j) {
    return switch (weights) {
      case F32 -> b.get(JAVA_FLOAT.withByteAlignment(1), row + 4L * p);
      case BF16 -> Float.intBitsToFloat(half(b, row + 2L * p) << 16);
      case F16 -> Float.float16ToFloat(half(b, row + 2L * p));
      case INT8 -> factors.getAtIndex(JAVA_FLOAT, j) * b.get(JAVA_BYTE, row + p);
      case NF4 -> {
        int two = b.get(JAVA_BYTE, row + p / 2) & 0xff;
        float level = Quantization.level(p % 2 == 0 ? two >> 4 : two & 15);
        int block = j * (k / Quantization.BLOCK) + p / Quantization.BLOCK;
        yield level * factors.getAtIndex(JAVA_FLOAT, block);
      }
    };
  }

  private static short half(MemorySegment b, long at) {
    return (short) (b.get(JAVA_BYTE, at) & 0xff | b.get(JAVA_BYTE, at + 1) << 8);
  }

  private static MemorySegment floats(Arena arena, Random random, int n) {
    MemorySegment m = arena.allocate(4L * n, 4);
    for (int i = 0; i < n; i++) {
      m.setAtIndex(JAVA_FLOAT, i, (float) random.nextGaussian());
    }
    return m;
  }

  /** Of any value that is no NaN or infinity: the type's highest exponent is left out. */
  private static MemorySegment bytes(Arena arena, Random random, Weights weights, int n) {
    byte[] drawn = new byte[n];
    random.nextBytes(drawn);
    if (weights != Weights.INT8 && weights != Weights.NF4) {
      for (int i = 0; i < n; i++) {
        drawn[i] &= (byte) 0xBB; // whichever byte holds the exponent
      }
    }
    return arena.allocate(n, 1).copyFrom(MemorySegment.ofArray(drawn));
  }
}
