package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.train.data.BatchLayout;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Fields;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.Order;
import dev.javelin.train.data.Rows;
import dev.javelin.train.settings.RunSettings;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RunLengthTest {
  /** 103 rows of 0 to 12 targets. */
  private static final Rows ROWS =
      new Rows() {
        @Override
        public BatchLayout layout() {
          throw new UnsupportedOperationException();
        }

        @Override
        public long count() {
          return 103;
        }

        @Override
        public void read(long row, Fields into, int at) {
          throw new UnsupportedOperationException();
        }

        @Override
        public long targets(long row) {
          return row * row % 13;
        }
      };

  private static final BatchSource SOURCE = BatchSource.endless(ROWS, Order.shuffled(7));

  private static RunSettings settings(Object... keysAndValues) {
    RunSettings s = RunSettings.DEFAULT;
    for (int i = 0; i < keysAndValues.length; i += 2) {
      s = s.with(Map.of((String) keysAndValues[i], keysAndValues[i + 1]));
    }
    return s;
  }

  private static RunLength fresh(boolean examples) {
    return new RunLength(SOURCE, ROWS, examples, 0, 0, 0);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 7, 31, 617, 618, 619, 5000, 123_457})
  void tokensAreCountedToTheStep(long most) {
    RunSettings s =
        settings("max_tokens", most, "gradient_accumulation_steps", 5, "batch_ramp", "1:2:9");
    long seen = 0;
    long place = 0;
    long step = 0;
    while (seen < most) {
      int rows = (int) s.batch().sequences(step++);
      seen += SOURCE.targets(place, rows);
      place += rows;
    }
    assertThat(fresh(false).steps(s)).isEqualTo(step);
    assertThat(fresh(true).steps(s)).isEqualTo(step);
    RunSettings half = s.with(Map.of("max_tokens", most / 2 + 1));
    int first = fresh(true).steps(half);
    long read = 0;
    for (int i = 0; i < first; i++) {
      read += s.batch().sequences(i);
    }
    RunLength resumed =
        new RunLength(SOURCE, ROWS, true, first, read, SOURCE.targets(0, (int) read));
    assertThat(resumed.steps(s)).as("resumed at %d", first).isEqualTo(step);
  }

  @Test
  void whatEndsFirstDecides() {
    assertThat(fresh(false).steps(settings())).isEqualTo(1000);
    assertThat(fresh(true).steps(settings())).isEqualTo(39);
    assertThat(fresh(true).steps(settings("epochs", 2))).isEqualTo(26);
    assertThat(fresh(true).steps(settings("epochs", 2, "max_steps", 30))).isEqualTo(30);
    assertThat(fresh(true).steps(settings("epochs", 2, "max_tokens", 1))).isEqualTo(1);
    assertThat(fresh(true).steps(settings("epochs", 2, "max_tokens", 1_000_000))).isEqualTo(26);
    assertThat(fresh(false).steps(settings("max_steps", 3, "max_tokens", 1_000_000))).isEqualTo(3);
    assertThat(fresh(false).steps(settings("max_tokens", 1_000_000))).isGreaterThan(20_000);
    assertThatThrownBy(() -> fresh(false).steps(settings("max_tokens", Long.MAX_VALUE)))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("--max-tokens: that is more than 2 billion steps");
  }

  /** 206 rows: 10 steps of 8, and the rest 16 at a time. */
  @Test
  void anotherBatchSizeReadsTheRestOfTheEpochs() {
    RunLength resumed = new RunLength(SOURCE, ROWS, true, 10, 80, 500);
    assertThat(resumed.steps(settings("epochs", 2, "batch_size", 16))).isEqualTo(10 + 8);
    // One row for three steps, two for three, then three.
    RunSettings ramp =
        settings(
            "epochs", 1, "batch_size", 1, "gradient_accumulation_steps", 3, "batch_ramp", "1:1:6");
    assertThat(fresh(true).steps(ramp)).isEqualTo(6 + 32); // 103 − 9 = 94 = 31·3 + 1
  }
}
