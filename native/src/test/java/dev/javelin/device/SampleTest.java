package dev.javelin.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.opentest4j.TestAbortedException;

class SampleTest {
  private static final List<Integer> CASES = IntStream.range(0, 21).boxed().toList();

  private static List<Integer> draw(String sweep, int count, long seed) {
    return Sample.of(sweep, CASES, count, seed).stream().map(Sample::value).toList();
  }

  @Test
  void aSeedDrawsTheSameCasesAgain() {
    assertThat(draw("curves", 6, 1)).isEqualTo(draw("curves", 6, 1)).doesNotHaveDuplicates();
    assertThat(draw("curves", 99, 1)).containsExactlyInAnyOrderElementsOf(CASES);
  }

  @Test
  void otherSeedsAndOtherSweepsDrawOthersUntilAllHadTheirTurn() {
    assertThat(draw("curves", 6, 1)).isNotEqualTo(draw("steps", 6, 1));
    Set<Integer> seen = new HashSet<>();
    for (long seed = 0; seed < 300; seed++) {
      seen.addAll(draw("curves", 1, 1_795_000_000_000L + seed));
    }
    assertThat(seen).hasSize(CASES.size());
  }

  @Test
  void aFailureTellsTheCaseAndHowToDrawItAgain() {
    Sample<Integer> sample = new Sample<>(7, "curves", 21, 42);
    assertThatThrownBy(
            () ->
                sample.check(
                    _ -> {
                      throw new AssertionError("expected 1 but was 2");
                    }))
        .isInstanceOf(AssertionError.class)
        .hasMessageContainingAll(
            "7, one of 21 cases of \"curves\"", "-Djavelin.seed=42", "expected 1 but was 2")
        .hasRootCauseMessage("expected 1 but was 2");
  }

  @Test
  void anAssumptionThatDoesNotHoldIsNoFailure() {
    Sample<Integer> sample = new Sample<>(7, "curves", 21, 42);
    assertThatThrownBy(() -> sample.check(_ -> assumeTrue(false, "no such file")))
        .isInstanceOf(TestAbortedException.class);
  }
}
