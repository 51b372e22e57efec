package dev.javelin.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.math.BigDecimal;
import java.util.Random;
import org.junit.jupiter.api.Test;

class HalfTest {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
  private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;
  private static final int ALL = 1 << 16;

  @Test
  void wideningIsExactForAll65536Patterns() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment half = arena.allocate(2 * ALL);
      MemorySegment wide = arena.allocate(4 * ALL);
      for (int i = 0; i < ALL; i++) {
        half.set(SHORT, 2L * i, (short) i);
      }
      Half.widen(wide, 0, half, 0, DType.F16, ALL);
      for (int i = 0; i < ALL; i++) {
        assertSame(wide.get(FLOAT, 4L * i), Float.float16ToFloat((short) i));
      }
      Half.widen(wide, 0, half, 0, DType.BF16, ALL);
      for (int i = 0; i < ALL; i++) {
        assertSame(wide.get(FLOAT, 4L * i), Float.intBitsToFloat(i << 16));
      }
    }
  }

  @Test
  void everyHalfSurvivesTheRoundTrip() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment half = arena.allocate(2 * ALL);
      MemorySegment wide = arena.allocate(4 * ALL);
      MemorySegment back = arena.allocate(2 * ALL);
      for (int i = 0; i < ALL; i++) {
        half.set(SHORT, 2L * i, (short) i);
      }
      for (DType type : new DType[] {DType.BF16, DType.F16}) {
        Half.widen(wide, 0, half, 0, type, ALL);
        Half.narrow(back, 0, type, wide, 0, ALL);
        for (int i = 0; i < ALL; i++) {
          if (!Float.isNaN(wide.get(FLOAT, 4L * i))) {
            assertThat(back.get(SHORT, 2L * i)).as("%s %x", type, i).isEqualTo((short) i);
          } else {
            Half.widen(wide, 4L * i, back, 2L * i, type, 1);
            assertThat(wide.get(FLOAT, 4L * i)).isNaN();
          }
        }
      }
    }
  }

  @Test
  void narrowingRoundsToNearestEvenAroundEveryMidpoint() {
    try (Arena arena = Arena.ofConfined()) {
      for (int n : new int[] {1, 2, 7, 31, 33, 127, 1000}) {
        MemorySegment wide = arena.allocate(4L * n);
        MemorySegment half = arena.allocate(2L * n);
        Random random = new Random(n);
        for (int round = 0; round < 2000 / n + 1; round++) {
          for (int i = 0; i < n; i++) {
            int below = random.nextInt(0x7C00);
            float low = Float.float16ToFloat((short) below);
            float high = below == 0x7BFF ? 65536f : Float.float16ToFloat((short) (below + 1));
            float middle = low + (high - low) / 2;
            float x =
                switch (random.nextInt(4)) {
                  case 0 -> middle;
                  case 1 -> Math.nextUp(middle);
                  case 2 -> Math.nextDown(middle);
                  default -> Float.intBitsToFloat(random.nextInt());
                };
            wide.set(FLOAT, 4L * i, random.nextBoolean() ? x : -x);
          }
          Half.narrow(half, 0, DType.F16, wide, 0, n);
          for (int i = 0; i < n; i++) {
            float x = wide.get(FLOAT, 4L * i);
            assertSame(
                Float.float16ToFloat(half.get(SHORT, 2L * i)),
                Float.float16ToFloat(Float.floatToFloat16(x)));
          }
          Half.narrow(half, 0, DType.BF16, wide, 0, n);
          for (int i = 0; i < n; i++) {
            float x = wide.get(FLOAT, 4L * i);
            assertSame(Half.bf16ToFloat(half.get(SHORT, 2L * i)), nearestBf16(x));
          }
        }
      }
    }
  }

  /** Of the two neighbours of {@code x} among the bf16 numbers the nearer one, compared exactly. */
  private static float nearestBf16(float x) {
    if (!Float.isFinite(x)) {
      return x;
    }
    int toZero = Float.floatToRawIntBits(x) & 0xFFFF0000;
    float near = Float.intBitsToFloat(toZero);
    float far = Float.intBitsToFloat(toZero + 0x10000);
    BigDecimal value = new BigDecimal(x);
    BigDecimal farValue =
        Float.isInfinite(far) ? new BigDecimal(Math.copySign(0x1p128, far)) : new BigDecimal(far);
    int c = value.subtract(new BigDecimal(near)).abs().compareTo(farValue.subtract(value).abs());
    return c < 0 || (c == 0 && (toZero & 0x10000) == 0) ? near : far;
  }

  private static void assertSame(float got, float want) {
    assertThat(Float.floatToIntBits(got)).isEqualTo(Float.floatToIntBits(want));
  }
}
