package dev.javelin.nn;

import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;

/** The loss that the reference models were trained with. */
final class NextTokenLoss {
  private NextTokenLoss() {}

  static Var of(Transformer model, Tape tape, Tensor tokens, Tensor targets, StepState state) {
    Pass pass = tape.isRecording() ? Pass.training(state) : Pass.PLAIN;
    return Losses.linearCrossEntropy(
        model.hidden(tape, tokens, pass),
        model.headWeight(tape),
        targets,
        model.lossOptions(),
        state);
  }
}
