package dev.javelin.train.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class BatchRampTest {
  @Test
  void itGrowsByEqualIncrementsInEqualTimes() {
    assertThat(LongStream.range(0, 10).mapToInt(s -> new BatchRamp(1, 1, 6).at(s, 3)))
        .containsExactly(1, 1, 1, 2, 2, 2, 3, 3, 3, 3);
    // The last increment ends at what there is.
    assertThat(LongStream.range(0, 8).mapToInt(s -> new BatchRamp(2, 4, 6).at(s, 11)))
        .containsExactly(2, 2, 6, 6, 10, 10, 11, 11);
    // More increments than steps.
    assertThat(LongStream.range(0, 5).mapToInt(s -> new BatchRamp(4, 1, 3).at(s, 32)))
        .containsExactly(4, 13, 22, 32, 32);
    assertThat(new BatchRamp(4, 2, 9).at(0, 4)).isEqualTo(4);
    assertThat(new BatchRamp(9, 2, 9).at(0, 4)).isEqualTo(4);
    assertThat(new BatchRamp(1, 999_999_999, 999_999_999).at(999_999_998, Integer.MAX_VALUE))
        .isEqualTo(1_999_999_999);
  }

  @Test
  void numbersBelowOneAreRefused() {
    assertThatThrownBy(() -> new BatchRamp(0, 1, 1)).hasMessageContaining("0:1:1");
  }
}
