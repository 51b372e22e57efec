package dev.javelin.kernels.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MomentCodeTest {

  private static float decode(float code, int top) {
    return MomentCode.decode(Lanes.broadcast(code), top).lane(0);
  }

  private static int encode(float magnitude, int top) {
    return (int) MomentCode.encode(Lanes.broadcast(magnitude), top).lane(0);
  }

  @ParameterizedTest
  @ValueSource(ints = {127, 255})
  void everyCodeIsAFourthPowerAndComesBack(int top) {
    for (int c = 0; c <= top; c++) {
      double x = Math.pow((double) c / top, 4);
      assertThat((double) decode(c, top)).isCloseTo(x, within(7e-7 * x));
      assertThat(decode(-c, top)).isEqualTo(-decode(c, top));
      assertThat(encode(decode(c, top), top)).isEqualTo(c);
    }
    assertThat(decode(top, top)).isEqualTo(1f);
  }

  @ParameterizedTest
  @ValueSource(ints = {127, 255})
  void anyNumberGetsACodeWhoseRootIsNearest(int top) {
    Random random = new Random(7);
    for (int i = 0; i < 20_000; i++) {
      float x = (float) Math.pow(2, -30 * random.nextDouble());
      int c = encode(x, top);
      assertThat(Math.abs(c - top * Math.pow(x, 0.25))).isLessThanOrEqualTo(0.5 + 1e-4);
      // The derivative of the fourth power, over half a code.
      double bound = 2.0 / top * Math.pow(x, 0.75) + 3.0 / (top * top) * Math.sqrt(x);
      assertThat((double) Math.abs(decode(c, top) - x)).isLessThanOrEqualTo(bound);
    }
    assertThat(encode(0, top)).isZero();
    assertThat(encode(Math.nextUp(1f), top)).isEqualTo(top);
  }

  @Test
  void everyLaneIsTheSame() {
    float[] values = new float[Lanes.COUNT];
    for (int i = 0; i < values.length; i++) {
      values[i] = (i - 3) / 20f;
    }
    MemorySegment s = MemorySegment.ofArray(values);
    float[] out = new float[Lanes.COUNT];
    Lanes.store(MomentCode.encode(Lanes.load(s, 0).abs(), 127), MemorySegment.ofArray(out), 0);
    for (int i = 0; i < out.length; i++) {
      assertThat((int) MemorySegment.ofArray(out).getAtIndex(JAVA_FLOAT, i))
          .isEqualTo(encode(Math.abs(values[i]), 127));
    }
  }
}
