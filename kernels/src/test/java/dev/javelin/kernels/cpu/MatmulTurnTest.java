package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Lines that are turned into panels: what this machine runs, and the machine code interpreted. */
class MatmulTurnTest {
  @Test
  void everyElementGoesToItsPlaceAndMissingLinesBecomeZeros() {
    Random random = new Random(5);
    for (int width : new int[] {6, 8, 12, 16, 32}) {
      for (int kc : new int[] {1, 3, 15, 16, 17, 32, 45, 64}) {
        for (int count : new int[] {1, width / 2, width - 1, width}) {
          try (Arena arena = Arena.ofConfined()) {
            int stride = kc + random.nextInt(20);
            MemorySegment lines = bits(arena, (count - 1) * stride + kc, random);
            MemorySegment panel = bits(arena, width * kc, random);
            MatmulPack.turn(panel.address(), width, lines.address(), 4L * stride, count, kc);
            check(panel, width, width, lines, stride, count, kc);
          }
        }
      }
    }
  }

  @Test
  void machineCodeDoesSoAndTouchesNothingElse() {
    Random random = new Random(6);
    for (int lines = 0; lines <= MatmulTurnCode.BLOCK; lines++) {
      for (int width : new int[] {12, 16}) {
        if (lines <= width) {
          try (Arena arena = Arena.ofConfined()) {
            int blocks = 1 + lines % 3;
            int kc = blocks * MatmulTurnCode.BLOCK;
            int stride = kc + random.nextInt(20);
            int row = width + random.nextInt(20);
            MemorySegment from = bits(arena, Math.max(1, lines) * stride, random);
            MemorySegment panel = bits(arena, row * kc, random);
            X86Machine machine = new X86Machine(MatmulTurnCode.code(lines));
            for (int i = 0; i < lines; i++) {
              machine.memory(from.asSlice(4L * i * stride, 4L * kc).asReadOnly());
            }
            for (int k = 0; k < kc; k++) {
              machine.memory(panel.asSlice(4L * k * row, 4L * width));
            }
            long mask = (1L << width) - 1;
            machine.run(panel.address(), 4L * row, from.address(), 4L * stride, blocks, mask);
            assertThat(machine.upperHalvesAreClean()).isTrue();
            check(panel, row, width, from, stride, lines, kc);
          }
        }
      }
    }
  }

  private static void check(
      MemorySegment panel, int row, int width, MemorySegment lines, int stride, int count, int kc) {
    for (int k = 0; k < kc; k++) {
      for (int i = 0; i < width; i++) {
        int want = i < count ? lines.getAtIndex(JAVA_INT, (long) i * stride + k) : 0;
        assertThat(panel.getAtIndex(JAVA_INT, (long) k * row + i))
            .as("line %d of %d, k %d of %d, width %d", i, count, k, kc, width)
            .isEqualTo(want);
      }
    }
  }

  private static MemorySegment bits(Arena arena, int n, Random random) {
    MemorySegment x = arena.allocate(4L * n, 4);
    for (int i = 0; i < n; i++) {
      x.setAtIndex(JAVA_INT, i, random.nextInt());
    }
    return x;
  }
}
