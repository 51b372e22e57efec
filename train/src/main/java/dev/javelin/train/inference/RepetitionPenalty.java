package dev.javelin.train.inference;

import java.util.BitSet;

/**
 * Makes tokens that occurred less likely: before anything else, the logit of each token of the
 * prompt and of the text so far is divided by the penalty where it is positive, and multiplied by
 * it otherwise; in fp32, once for each token however often it occurred.
 *
 * @see <a href="https://arxiv.org/abs/1909.05858">CTRL, section 4.1</a>; the sign rule is that of
 *     <a
 *     href="https://huggingface.co/docs/transformers/internal/generation_utils#transformers.RepetitionPenaltyLogitsProcessor">
 *     transformers</a>
 */
final class RepetitionPenalty {
  private final float penalty;
  private final BitSet seen = new BitSet();

  RepetitionPenalty(double penalty) {
    require(penalty);
    this.penalty = (float) penalty;
  }

  static void require(double penalty) {
    if (!(penalty > 0) || Double.isInfinite(penalty)) {
      throw new IllegalArgumentException(
          "--repetition-penalty must be more than 0 (1 changes nothing), got " + penalty);
    }
  }

  void saw(int token) {
    seen.set(token);
  }

  void apply(float[] logits) {
    if (penalty == 1) {
      return;
    }
    for (int t = seen.nextSetBit(0); t >= 0 && t < logits.length; t = seen.nextSetBit(t + 1)) {
      logits[t] = logits[t] < 0 ? logits[t] * penalty : logits[t] / penalty;
    }
  }
}
