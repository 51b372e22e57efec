package dev.javelin.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RowsTest {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 7, 16, 31, 33, 64, 127, 1000})
  void rowsComeAndGoInEveryTypeWithoutTouchingTheirNeighbours(int cols) {
    int stride = cols + 3;
    int rows = 4;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment scratch = arena.allocate(8L * Lanes.pad(cols));
      MemorySegment values = arena.allocate(4L * rows * stride);
      for (DType type : new DType[] {DType.F32, DType.BF16, DType.F16}) {
        MemorySegment data = arena.allocate(type.bytes((long) rows * stride));
        for (int i = 0; i < rows * stride; i++) {
          values.set(FLOAT, 4L * i, i % 97);
        }
        Half.narrow(data, 0, type, values, 0, rows * stride);
        scratch.fill((byte) -1);
        Rows operand = new Rows(data, type, rows, cols, stride, true).slot(1);
        for (int r = 0; r < rows; r++) {
          long at = operand.target(r, scratch);
          MemorySegment m = operand.segment(scratch);
          for (int i = cols; i < Lanes.pad(cols); i++) {
            assertThat(m.get(FLOAT, at + 4L * i)).isZero();
          }
          for (int i = 0; i < Lanes.pad(cols); i += Lanes.COUNT) {
            Lanes.store(Lanes.load(m, at + 4L * i).add(1f), m, at + 4L * i);
          }
          operand.store(r, scratch);
        }
        Half.widen(values, 0, data, 0, type, rows * stride);
        for (int i = 0; i < rows * stride; i++) {
          assertThat(values.get(FLOAT, 4L * i)).isEqualTo(i % 97 + (i % stride < cols ? 1f : 0f));
        }
      }
    }
  }
}
