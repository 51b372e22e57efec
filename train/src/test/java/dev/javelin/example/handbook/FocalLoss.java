package dev.javelin.example.handbook;

import dev.javelin.autograd.Algebra;
import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Fill;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.data.Batch;
import dev.javelin.train.objective.Objective;

/**
 * {@code (1 − p)² · −ln p}, p the probability of the right digit: what is easy counts little.
 *
 * @see <a href="https://arxiv.org/abs/1708.02002">Lin et al. 2017</a>
 */
public record FocalLoss(Digits.Reader model) implements Objective {
  @Override
  public Var loss(Tape tape, Batch batch, StepState state) {
    Var logits = model.logits(tape.constant(batch.get("picture")));
    return Losses.stepLoss(losses(logits, batch.get("digit")), state);
  }

  /** A loss for each row; 0 where the target is ignored. */
  static Var losses(Var logits, Tensor digits) {
    Var cross = Losses.crossEntropy(logits, digits, LossOptions.PLAIN); // −ln p, [B]
    Var p = Algebra.exp(Algebra.scale(cross, -1));
    Tensor ones = cross.like();
    Fill.constant(ones, 1f);
    Var wrong = Algebra.subtract(cross.tape().constant(ones), p);
    return Algebra.multiply(Algebra.multiply(wrong, wrong), cross);
  }
}
