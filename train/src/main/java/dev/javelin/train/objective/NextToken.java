package dev.javelin.train.objective;

import static dev.javelin.train.data.BatchLayout.TARGETS;
import static dev.javelin.train.data.BatchLayout.TOKENS;

import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.nn.Transformer;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.data.Batch;

/**
 * The cross-entropy of the token behind each position, of batches as {@link
 * dev.javelin.train.data.BatchLayout#text} has them.
 */
public record NextToken(Transformer model) implements Objective {

  @Override
  public Var loss(Tape tape, Batch batch, StepState state) {
    return model.loss(tape, batch.get(TOKENS), batch.get(TARGETS), state);
  }

  @Override
  public void prepare(Batch batch) {
    model.prepare(batch.get(TOKENS).dim(1));
  }
}
