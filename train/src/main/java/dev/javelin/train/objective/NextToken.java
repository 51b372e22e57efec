package dev.javelin.train.objective;

import static dev.javelin.train.data.BatchLayout.TARGETS;
import static dev.javelin.train.data.BatchLayout.TOKENS;

import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.Turn;
import dev.javelin.nn.Pass;
import dev.javelin.nn.Transformer;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.data.Batch;

/**
 * The cross-entropy of the token behind each position, of batches as {@link
 * dev.javelin.train.data.BatchLayout#text} has them: the sum over targets times {@link
 * StepState#inverseTargets}. On a recording tape it is the training loss, with the configuration's
 * dropout; on an inference tape it evaluates, without. The full logits never exist.
 */
public record NextToken(Transformer model) implements Objective {

  @Override
  public Var loss(Tape tape, Batch batch, StepState state) {
    Tensor tokens = batch.get(TOKENS);
    Pass pass = tape.isRecording() ? Pass.training(state) : Pass.PLAIN;
    try (Turn _ = tokens.device().turn()) {
      return Losses.linearCrossEntropy(
          model.hidden(tape, tokens, pass),
          model.headWeight(tape),
          batch.get(TARGETS),
          LossOptions.PLAIN,
          state);
    }
  }

  @Override
  public void prepare(Batch batch) {
    model.prepare(batch.get(TOKENS).dim(1));
  }
}
