package dev.javelin.train.objective;

import static dev.javelin.train.data.LabelledRows.LABELS;
import static dev.javelin.train.data.LabelledRows.LAST;
import static dev.javelin.train.data.LabelledRows.LENGTHS;
import static dev.javelin.train.data.LabelledRows.TOKENS;

import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.Turn;
import dev.javelin.nn.SequenceClassifier;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.data.Batch;
import org.jspecify.annotations.Nullable;

/**
 * The cross-entropy of the class of each row, of batches as {@link
 * dev.javelin.train.data.LabelledRows} fills them: the mean over the rows of a step.
 */
public record Classify(SequenceClassifier model) implements Objective {

  @Override
  public Var loss(Tape tape, Batch batch, StepState state) {
    try (Turn _ = batch.get(TOKENS).device().turn()) {
      Var logits = logits(tape, batch, tape.isRecording() ? state : null);
      Tensor labels = batch.get(LABELS);
      return Losses.stepLoss(Losses.crossEntropy(logits, labels, LossOptions.PLAIN), state);
    }
  }

  /** The logits of the classes, [B, K]. */
  public Var logits(Tape tape, Batch batch, @Nullable StepState training) {
    return model.classLogits(
        tape, batch.get(TOKENS), batch.get(LENGTHS), batch.get(LAST), training);
  }

  @Override
  public void prepare(Batch batch) {
    model.prepare(batch.get(TOKENS).dim(1));
  }
}
