package dev.javelin.train.settings;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class NamesTest {
  @ParameterizedTest
  @CsvSource({
    "--max_steps, max-steps",
    "-o, o",
    "Max_Steps, max-steps",
    "---x, -x",
    "a--b, a--b",
    "RMS_NORM, rms-norm"
  })
  void kebabCaseHasNoLeadingDashes(String name, String kebab) {
    assertThat(Names.kebab(name)).isEqualTo(kebab);
  }

  @Test
  void camelsBecomeSnakes() {
    assertThat(Names.snakeOfCamel("maxSteps")).isEqualTo("max_steps");
    assertThat(Names.snakeOfCamel("adamBeta2")).isEqualTo("adam_beta2");
    assertThat(Names.snakeOfCamel("seed")).isEqualTo("seed");
  }
}
