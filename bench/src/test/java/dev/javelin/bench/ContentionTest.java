package dev.javelin.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class ContentionTest {
  @Test
  void aFairTimeIsOursOverTheShareThatIsLeft() {
    assertThat(Contention.fair(2, 1, 2)).isEqualTo(1.5);
    assertThat(Contention.fair(2, 0, 2)).isEqualTo(1);
    assertThat(Contention.fair(1, 1, 2)).isEqualTo(1); // a core for each
    assertThat(Contention.fair(4, 4, 2)).isEqualTo(2); // half of the machine, not all of it
    assertThat(Contention.fair(3, 3, 4)).isEqualTo(1.5);
  }

  @Test
  void refusesWhatItDoesNotKnow() {
    assertThatThrownBy(() -> Contention.main(new String[] {"--model", "shakespeare"}))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("--model")
        .hasMessageContaining("--models");
    assertThatThrownBy(() -> Contention.main(new String[] {"--busy"}))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("--busy");
  }
}
