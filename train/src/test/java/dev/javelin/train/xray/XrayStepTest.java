package dev.javelin.train.xray;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class XrayStepTest {
  @Test
  void aStepMakesTheLossOfItsTextSmaller() {
    Xray x = XrayFixture.llama();
    assertThat(x.loss().before()).isCloseTo(Math.log(256), within(0.5));
    assertThat(x.loss().after()).isLessThan(x.loss().before());
    assertThat(x.attention()).hasSize(2 * 4);
    assertThat(x.stream()).hasSize(1 + 2 * 2);
  }
}
