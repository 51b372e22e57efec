package dev.javelin.train.inference;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class RepetitionPenaltyTest {

  @Test
  void dividesPositiveLogitsAndMultipliesOthersOnce() {
    RepetitionPenalty penalty = new RepetitionPenalty(1.3);
    for (int token : new int[] {0, 1, 1, 3, 9}) {
      penalty.saw(token);
    }
    float[] logits = {2, -2, 5, 0, -1};
    penalty.apply(logits);
    // torch.where(score < 0, score * 1.3, score / 1.3) in float32
    assertThat(logits).containsExactly(2 / 1.3f, -2 * 1.3f, 5, 0, -1);
  }

  @Test
  void changesNothingAtOne() {
    RepetitionPenalty penalty = new RepetitionPenalty(1);
    penalty.saw(0);
    float[] logits = {3};
    penalty.apply(logits);
    assertThat(logits).containsExactly(3);
  }
}
