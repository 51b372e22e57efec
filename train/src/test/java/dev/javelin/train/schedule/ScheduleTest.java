package dev.javelin.train.schedule;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class ScheduleTest {

  @ParameterizedTest
  @MethodSource("goldenCases")
  void everyStepEqualsTheReference(JsonNode reference) {
    Schedule schedule = schedule(reference.get("case").asText(), reference.get("params"));
    JsonNode lr = reference.get("lr");
    for (int s = 0; s < lr.size(); s++) {
      assertThat(schedule.at(s))
          .as("step %d", s)
          .isCloseTo(lr.get(s).asDouble(), within(1e-9 * lr.get(s).asDouble() + 1e-15));
    }
  }

  @Test
  void firstStepOfAWarmUpAlreadyMoves() {
    assertThat(new Schedule.Cosine(1, 0, 4, 8).at(0)).isEqualTo(0.25);
    assertThat(new Schedule.Cosine(1, 0, 4, 8).at(3)).isEqualTo(1);
  }

  @Test
  void afterTheEndTheRateStaysAtItsMinimum() {
    assertThat(new Schedule.Linear(1, 0.1, 0, 8).at(1_000_000)).isEqualTo(0.1);
    assertThat(new Schedule.WarmupStableDecay(1, 0.1, 0, 8, 3, Decay.SQRT).at(9)).isEqualTo(0.1);
  }

  /** PyTorch's PolynomialLR without a smallest rate: {@code (1 − s/total)^power}. */
  @Test
  void aPolynomialFallsAsItsPowerSays() {
    Schedule square = new Schedule.Polynomial(2, 0.5, 2, 10, 2);
    assertThat(square.at(0)).isEqualTo(1);
    assertThat(square.at(2)).isEqualTo(2);
    assertThat(square.at(6)).isEqualTo(0.5 + 1.5 * 0.25);
    assertThat(square.at(10)).isEqualTo(0.5);
    assertThat(square.at(11)).isEqualTo(0.5);
    Schedule line = new Schedule.Polynomial(2, 0.5, 2, 10, 1);
    for (int s = 0; s < 12; s++) {
      assertThat(line.at(s)).isCloseTo(new Schedule.Linear(2, 0.5, 2, 10).at(s), within(1e-15));
    }
  }

  @Test
  void wrongArgumentsAreNamed() {
    assertThatThrownBy(() -> new Schedule.Cosine(1e-3, 2e-3, 0, 10))
        .hasMessageContaining("smallest learning rate")
        .hasMessageContaining("0.002");
    assertThatThrownBy(() -> new Schedule.Linear(1e-3, 0, 10, 10)).hasMessageContaining("warm-up");
    assertThatThrownBy(() -> new Schedule.Constant(Double.NaN, 0)).hasMessageContaining("NaN");
    assertThatThrownBy(() -> new Schedule.Polynomial(1, 0, 0, 10, 0)).hasMessageContaining("power");
  }

  private static Schedule schedule(String name, JsonNode p) {
    double max = p.path("max_lr").asDouble();
    double min = p.path("min_lr").asDouble();
    int warmup = p.path("warmup").asInt();
    int total = p.path("total").asInt();
    return switch (name) {
      case "constant", "warmup_constant" -> new Schedule.Constant(max, warmup);
      case "warmup_cosine" -> new Schedule.Cosine(max, min, warmup, total);
      case "warmup_linear" -> new Schedule.Linear(max, min, warmup, total);
      case "inverse_sqrt" -> new Schedule.InverseSqrt(max, warmup);
      case "wsd_linear", "wsd_cosine", "wsd_sqrt" ->
          new Schedule.WarmupStableDecay(
              max,
              min,
              warmup,
              total,
              p.get("decay").asInt(),
              Decay.valueOf(p.get("shape").asText().toUpperCase(Locale.ROOT)));
      case "cosine_restarts" ->
          new Schedule.CosineRestarts(max, min, warmup, p.get("cycle").asInt());
      case "rewarmup" ->
          new Schedule.Rewarmup(
              new Schedule.Cosine(1e-3, 1e-4, 10, 100),
              p.get("restart_at").asInt(),
              p.get("rewarm_steps").asInt(),
              p.get("new_max_lr").asDouble(),
              min,
              total);
      default -> throw new AssertionError("no schedule for golden case " + name);
    };
  }

  static Stream<JsonNode> goldenCases() throws IOException {
    try (InputStream in =
        Objects.requireNonNull(
            ScheduleTest.class.getResourceAsStream("/golden/optim/lr_schedules.json"))) {
      JsonNode schedules = new ObjectMapper().readTree(in).get("schedules");
      return StreamSupport.stream(schedules.spliterator(), false);
    }
  }
}
