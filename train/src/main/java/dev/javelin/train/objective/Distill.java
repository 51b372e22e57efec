package dev.javelin.train.objective;

import static dev.javelin.train.data.BatchLayout.TARGETS;
import static dev.javelin.train.data.BatchLayout.TOKENS;
import static dev.javelin.train.data.WeightedTargets.WEIGHTS;

import dev.javelin.autograd.Algebra;
import dev.javelin.autograd.Functional;
import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.DType;
import dev.javelin.device.Turn;
import dev.javelin.nn.Pass;
import dev.javelin.nn.Transformer;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Elementwise;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.data.Batch;

/**
 * Learns from a teacher: with {@code p} the teacher's and {@code q} the student's distribution of
 * the next token, both of logits divided by the temperature τ, and CE the cross-entropy of the
 * token that follows in the text, the mean over a step's targets of
 *
 * <pre>{@code
 * (1 − α)·CE + α·τ²·Σ_v p_v·(ln p_v − ln q_v)
 * }</pre>
 *
 * of batches as {@link dev.javelin.train.data.WeightedTargets} fills them. All logits of student
 * and teacher exist at once: about six F32 [B, T, V].
 *
 * @param teacher of the same vocabulary, without gradients
 * @param temperature τ
 * @param mix α, the teacher's share
 * @see <a href="https://arxiv.org/abs/1503.02531">Hinton, Vinyals, Dean 2015</a>
 */
public record Distill(Transformer model, Transformer teacher, float temperature, float mix)
    implements Objective {
  public Distill {
    if (!(temperature > 0) || !(mix >= 0 && mix <= 1)) {
      throw new IllegalArgumentException(
          "the temperature must be more than 0 and the teacher's share in [0, 1], got %s and %s"
              .formatted(temperature, mix));
    }
    if (model.config().vocab() != teacher.config().vocab()) {
      throw new IllegalArgumentException(
          "the teacher has a vocabulary of %d, the model of %d"
              .formatted(teacher.config().vocab(), model.config().vocab()));
    }
  }

  @Override
  public Var loss(Tape tape, Batch batch, StepState state) {
    Tensor tokens = batch.get(TOKENS);
    try (Turn _ = tokens.device().turn()) {
      Pass pass = NextToken.pass(tape, batch, state);
      Var logits = floats(model.logits(model.hidden(tape, tokens, pass)));
      Var hard = Losses.crossEntropy(logits, batch.get(TARGETS), LossOptions.PLAIN);
      Var student = Functional.logSoftmax(Algebra.scale(logits, 1 / temperature));
      Var expected = tape.constant(ofTeacher(tape, batch)); // ln p
      Var difference = Algebra.multiply(Algebra.exp(expected), Algebra.subtract(expected, student));
      Var divergence = Algebra.sum(difference, false, 2); // [B, T]
      Var counted = Algebra.multiply(divergence, tape.constant(batch.get(WEIGHTS)));
      return Losses.stepLoss(
          Algebra.add(
              Algebra.scale(hard, 1 - mix),
              Algebra.scale(counted, mix * temperature * temperature)),
          state);
    }
  }

  private Tensor ofTeacher(Tape tape, Batch batch) {
    Workspace workspace = tape.workspace();
    Tensor tokens = batch.get(TOKENS);
    Shape shape = Shape.of(tokens.dim(0), tokens.dim(1), teacher.config().vocab());
    Tensor kept = tape.alloc(DType.F32, shape);
    try (Workspace.Scope _ = workspace.scope()) {
      Tape reading = Tape.inference(workspace);
      Pass pass = NextToken.pass(reading, batch, null);
      Var logits = floats(teacher.logits(teacher.hidden(reading, tokens, pass)));
      Elementwise.copy(kept, Functional.logSoftmax(Algebra.scale(logits, 1 / temperature)).value());
    }
    return kept;
  }

  private static Var floats(Var logits) {
    return logits.value().dtype() == DType.F32 ? logits : Algebra.cast(logits, DType.F32);
  }

  @Override
  public void prepare(Batch batch) {
    int seqLen = batch.get(TOKENS).dim(1);
    model.prepare(seqLen);
    teacher.prepare(seqLen);
  }
}
