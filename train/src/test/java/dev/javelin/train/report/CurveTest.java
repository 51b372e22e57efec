package dev.javelin.train.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CurveTest {
  @ParameterizedTest
  @ValueSource(ints = {1, 7, 511, 512, 513, 1023, 1024, 1025, 100_000, 1_000_003})
  void bucketsHoldWhatThePlainListSays(int count) {
    double[] values = new SplittableRandom(count).doubles(count, -3, 5).toArray();
    Curve curve = new Curve();
    for (int i = 0; i < count; i++) {
      curve.add(10L * (i + 1), values[i]);
    }
    int perBucket = 1;
    while (Math.ceilDiv(count, perBucket) > Curve.MOST) {
      perBucket *= 2;
    }
    long[] steps = curve.steps();
    assertThat(steps).hasSize(Math.ceilDiv(count, perBucket));
    for (int b = 0; b < steps.length; b++) {
      int from = b * perBucket;
      int to = Math.min(count, from + perBucket);
      double least = Double.POSITIVE_INFINITY;
      double greatest = Double.NEGATIVE_INFINITY;
      double sum = 0;
      for (int i = from; i < to; i++) {
        least = Math.min(least, values[i]);
        greatest = Math.max(greatest, values[i]);
        sum += values[i];
      }
      assertThat(steps[b]).isEqualTo(10L * to);
      assertThat(curve.least(b)).isEqualTo(least);
      assertThat(curve.greatest(b)).isEqualTo(greatest);
      assertThat(curve.mean(b)).isCloseTo(sum / (to - from), within(1e-12));
    }
    assertThat(curve.last()).isEqualTo(values[count - 1]);
  }

  @Test
  void aSpikeOfOneStepInAHundredThousandIsStillThere() {
    Curve curve = new Curve();
    for (int i = 1; i <= 100_000; i++) {
      curve.add(i, i == 61_803 ? 99 : 1);
    }
    StringBuilder json = new StringBuilder();
    curve.json(json);
    assertThat(json).contains("99").hasSizeLessThan(20_000);
  }

  @Test
  void whatTheRunWentBackBehindIsForgotten() {
    Curve curve = new Curve();
    for (int i = 1; i <= 100; i++) {
      curve.add(i, i);
    }
    curve.cutBehind(40);
    curve.add(41, -1);
    assertThat(curve.steps()).hasSize(41).endsWith(39, 40, 41);
    assertThat(curve.leastOfAll()).isEqualTo(-1);
  }

  @ParameterizedTest
  @ValueSource(
      doubles = {0, 1, -1, 12345.678, 1e-3, 9.99999e-4, 3.14159265e-9, 6.02214e23, 5e-324, 1e300})
  void numbersAreWrittenToFiveDigits(double value) {
    assertThat(Curve.round(value)).isCloseTo(value, within(Math.abs(value) * 5.1e-5));
    Curve curve = new Curve();
    curve.add(3, value);
    StringBuilder json = new StringBuilder();
    curve.json(json);
    String mean = json.substring(json.indexOf("\"m\":[") + 5, json.length() - 2);
    assertThat(Double.parseDouble(mean)).isEqualTo(Curve.round(value));
    assertThat(mean).hasSizeLessThan(24);
  }
}
