package dev.javelin.train.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.util.Objects;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class PlateauTest {
  private static final double MAX = 1e-3;

  @ParameterizedTest
  @MethodSource("pytorch")
  void everyRateEqualsPyTorchs(JsonNode reference) {
    Plateau plateau = plateau(reference.get("params"), MAX);
    JsonNode losses = reference.get("loss");
    for (int i = 0; i < losses.size(); i++) {
      if (i % 7 == 3) { // a resumed run in between
        Plateau resumed = plateau(reference.get("params"), MAX);
        resumed.restore(plateau.save());
        assertThat(resumed.at(i)).isEqualTo(plateau.at(i));
        plateau = resumed;
      }
      plateau.evaluated(i, losses.get(i).asDouble(Double.NaN));
      double lr = reference.get("lr").get(i).asDouble();
      assertThat(plateau.at(i + 1)).as("after %d", i).isCloseTo(lr, within(1e-12 * lr));
    }
  }

  @Test
  void theWarmUpDoesNotListen() {
    Plateau plateau = new Plateau(1, 0, 4, 0.5, 0, 0, 0);
    plateau.evaluated(2, 1);
    plateau.evaluated(3, 2);
    assertThat(plateau.at(1)).isEqualTo(0.5);
    assertThat(plateau.at(4)).isEqualTo(1);
    plateau.evaluated(4, 3);
    plateau.evaluated(5, 3);
    assertThat(plateau.at(6)).isEqualTo(0.5);
  }

  @Test
  void anotherLargestRateKeepsTheReductions() {
    Plateau plateau = new Plateau(1, 0, 0, 0.5, 0, 0, 0);
    plateau.evaluated(1, 1);
    plateau.evaluated(2, 1);
    Plateau larger = new Plateau(4, 0, 0, 0.5, 0, 0, 0);
    larger.restore(plateau.save());
    assertThat(larger.at(3)).isEqualTo(2);
  }

  @Test
  void wrongArgumentsAreNamed() {
    assertThatThrownBy(() -> new Plateau(1, 0, 0, 1, 0, 0, 0)).hasMessageContaining("factor");
    assertThatThrownBy(() -> new Plateau(1, 0, 0, 0.1, -1, 0, 0)).hasMessageContaining("patience");
    assertThatThrownBy(() -> new Plateau(1, 2, 0, 0.1, 0, 0, 0)).hasMessageContaining("smallest");
  }

  private static Plateau plateau(JsonNode p, double max) {
    return new Plateau(
        max,
        p.get("min_lr").asDouble(),
        0,
        p.get("factor").asDouble(),
        p.get("patience").asInt(),
        p.get("threshold").asDouble(),
        p.get("cooldown").asInt());
  }

  static Stream<JsonNode> pytorch() throws IOException {
    try (InputStream in =
        Objects.requireNonNull(
            PlateauTest.class.getResourceAsStream("/golden/optim/plateau.json"))) {
      JsonNode cases = new ObjectMapper().readTree(in).get("cases");
      return StreamSupport.stream(cases.spliterator(), false);
    }
  }
}
