package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.DType;
import dev.javelin.kernels.cpu.MatmulTileFma.Layout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The machine code of the fp32 tile, interpreted: on any machine, and byte by byte in bounds. */
class MatmulTileFmaTest {
  private static final int ROWS = MatmulTileFma.ROWS;
  private static final int COLS = MatmulTileFma.COLS;

  /** Packed factors; each of them where it lies, A along k and across; both. */
  static List<Layout> layouts() {
    int packedStep = 4 * ROWS;
    int packedB = 4 * COLS;
    int far = 4 * 301; // more than a displacement of one byte can say
    return List.of(
        Layout.PACKED,
        new Layout(4, 4 * (ROWS + 9), packedB),
        new Layout(far, 4, packedB),
        new Layout(4, packedStep, 4 * (COLS + 3)),
        new Layout(far, 4, 4 * (COLS + 1)),
        new Layout(4, 4 * (ROWS + 1), far));
  }

  @ParameterizedTest
  @MethodSource("layouts")
  void hasTheBitsOfChainsInTheOrderOfK(Layout layout) {
    for (int kc : new int[] {1, 2, 33}) {
      for (int stride : new int[] {COLS, COLS + 7}) {
        check(layout, kc, stride, ROWS, COLS, false, new Random(kc + 100L * stride));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("layouts")
  void writesCornersAndAddsToThem(Layout layout) {
    Random random = new Random(3);
    for (int rows = 1; rows <= ROWS; rows++) {
      for (int cols : new int[] {1, 15, 16, 17, 31, 32}) {
        check(layout, 3, COLS + 1, rows, cols, true, random);
        check(layout, 3, COLS + 1, rows, cols, false, random);
      }
    }
  }

  private static void check(
      Layout layout, int kc, int stride, int rows, int cols, boolean add, Random random) {
    try (Arena arena = Arena.ofConfined()) {
      int aRow = layout.aRowBytes() / 4;
      int aStep = layout.aStepBytes() / 4;
      int bStep = layout.bStepBytes() / 4;
      MemorySegment a = numbers(arena, (ROWS - 1) * aRow + (kc - 1) * aStep + 1, random);
      MemorySegment b = numbers(arena, kc * bStep, random);
      MemorySegment c = numbers(arena, ROWS * stride, random);
      MemorySegment before = arena.allocate(c.byteSize(), 4).copyFrom(c);
      int vectors = Math.ceilDiv(cols, 16);
      X86Machine machine = new X86Machine(MatmulTileFma.code(layout, add, rows, vectors));
      for (int i = 0; i < rows; i++) { // no other byte may be read or written
        machine.memory(c.asSlice(4L * i * stride, 4L * cols));
      }
      if (layout.readsA()) {
        for (int k = 0; k < kc; k++) {
          for (int i = 0; i < rows; i++) {
            machine.memory(a.asSlice(4L * (i * aRow + k * aStep), 4).asReadOnly());
          }
        }
      } else {
        machine.memory(a.asReadOnly());
      }
      for (int k = 0; k < kc; k++) {
        int width = layout.readsB() ? cols : COLS;
        machine.memory(b.asSlice(4L * k * bStep, 4L * width).asReadOnly());
      }
      long mask = MatmulTileFma.mask(cols);
      machine.run(c.address(), 4L * stride, a.address(), b.address(), kc, mask);
      assertThat(machine.upperHalvesAreClean()).isTrue();
      for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < stride; j++) {
          long at = (long) i * stride + j;
          float want = before.getAtIndex(JAVA_FLOAT, at);
          if (i < rows && j < cols) {
            float sum = 0;
            for (int k = 0; k < kc; k++) {
              float x = a.getAtIndex(JAVA_FLOAT, (long) i * aRow + (long) k * aStep);
              sum = Math.fma(x, b.getAtIndex(JAVA_FLOAT, (long) k * bStep + j), sum);
            }
            want = add ? want + sum : sum;
          }
          assertThat(c.getAtIndex(JAVA_INT, at))
              .as("C[%d, %d], k = %d", i, j, kc)
              .isEqualTo(Float.floatToRawIntBits(want));
        }
      }
    }
  }

  @Test
  void panelsAreFilledAsJavaFillsThem() {
    int kc = 9;
    int stride = 101;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment data = numbers(arena, stride * kc, new Random(1));
      MatmulOperand a = MatmulOperand.of("a", data, DType.F32, stride, false, stride, kc);
      for (int lines : new int[] {1, 11, 12, 13, 29, 84, 96}) {
        int panels = Math.ceilDiv(lines, ROWS);
        long panelBytes = 4L * ROWS * kc;
        MemorySegment got = arena.allocate(panelBytes * panels, 4);
        MemorySegment want = arena.allocate(panelBytes * panels, 4);
        X86Machine machine = new X86Machine(MatmulCopyCode.code(ROWS, panels)).memory(got);
        for (int k = 0; k < kc; k++) { // no other byte may be read
          machine.memory(data.asSlice(4L * (k * stride + 3), 4L * lines).asReadOnly());
        }
        long mask = (1L << lines - (panels - 1) * ROWS) - 1;
        machine.run(got.address(), panelBytes, data.address() + 12, 4L * stride, kc, mask);
        assertThat(machine.upperHalvesAreClean()).isTrue();
        for (int i = 0; i < lines; i += ROWS) {
          long to = want.address() + i / ROWS * panelBytes;
          MatmulPack.panel(to, ROWS, a, 3 + i, Math.min(ROWS, lines - i), 0, kc, 0);
        }
        assertThat(got.mismatch(want)).as("%d lines", lines).isEqualTo(-1);
      }
    }
  }

  /** Of very different sizes, some subnormal. */
  private static MemorySegment numbers(Arena arena, int n, Random random) {
    MemorySegment x = arena.allocate(4L * n, 4);
    for (int i = 0; i < n; i++) {
      int scale = random.nextInt(8) == 0 ? -140 : random.nextInt(60) - 30;
      x.setAtIndex(JAVA_FLOAT, i, Math.scalb((float) random.nextGaussian(), scale));
    }
    return x;
  }
}
