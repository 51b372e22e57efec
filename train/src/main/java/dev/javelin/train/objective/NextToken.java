package dev.javelin.train.objective;

import static dev.javelin.train.data.BatchLayout.POSITIONS;
import static dev.javelin.train.data.BatchLayout.STARTS;
import static dev.javelin.train.data.BatchLayout.TARGETS;
import static dev.javelin.train.data.BatchLayout.TOKENS;

import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.Turn;
import dev.javelin.nn.Pass;
import dev.javelin.nn.Transformer;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.AttentionMask;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.data.Batch;
import org.jspecify.annotations.Nullable;

/**
 * The cross-entropy of the token behind each position, of batches as {@link
 * dev.javelin.train.data.BatchLayout#text} has them: the sum over targets times {@link
 * StepState#inverseTargets}. On a recording tape it is the training loss, with the configuration's
 * dropout; on an inference tape it evaluates, without. The full logits never exist.
 *
 * <p>Where a batch has {@link dev.javelin.train.data.BatchLayout#packed}'s fields, each document
 * sees itself alone.
 */
public record NextToken(Transformer model) implements Objective {

  @Override
  public Var loss(Tape tape, Batch batch, StepState state) {
    return loss(tape, batch, state, false);
  }

  @Override
  public Objective sampled() {
    return (tape, batch, state) -> loss(tape, batch, state, true);
  }

  private Var loss(Tape tape, Batch batch, StepState state, boolean sampled) {
    Tensor tokens = batch.get(TOKENS);
    try (Turn _ = tokens.device().turn()) {
      Var x = model.hidden(tape, tokens, pass(tape, batch, state));
      Var w = model.headWeight(tape);
      Tensor targets = batch.get(TARGETS);
      return Losses.linearCrossEntropy(
          x,
          w,
          sampled ? Losses.drawTargets(x, w, targets, model.lossOptions(), state) : targets,
          model.lossOptions(),
          state);
    }
  }

  /** A causal run, within documents where the batch says where they begin. */
  static Pass pass(Tape tape, Batch batch, @Nullable StepState state) {
    Pass pass = tape.isRecording() && state != null ? Pass.training(state) : Pass.PLAIN;
    pass = batch.has(POSITIONS) ? pass.at(batch.get(POSITIONS)) : pass;
    return batch.has(STARTS)
        ? pass.masked(AttentionMask.CAUSAL.documents(batch.get(STARTS)))
        : pass;
  }

  @Override
  public void prepare(Batch batch) {
    model.prepare(batch.get(TOKENS).dim(1));
  }
}
