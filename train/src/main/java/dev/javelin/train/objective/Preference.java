package dev.javelin.train.objective;

import static dev.javelin.train.data.BatchLayout.TARGETS;
import static dev.javelin.train.data.BatchLayout.TOKENS;
import static dev.javelin.train.data.PairRows.INVERSE_LENGTHS;
import static dev.javelin.train.data.PairRows.WEIGHT;

import dev.javelin.autograd.Algebra;
import dev.javelin.autograd.Functional;
import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.DType;
import dev.javelin.device.Turn;
import dev.javelin.kernels.Activation;
import dev.javelin.nn.Pass;
import dev.javelin.nn.Transformer;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Elementwise;
import dev.javelin.tensor.op.Fill;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.data.Batch;
import org.jspecify.annotations.Nullable;

/**
 * Learns which of two answers is better, of batches as {@link dev.javelin.train.data.PairRows}
 * fills them: the mean over the pairs of a step. With {@code s(y)} the sum of an answer's token
 * log-probabilities, less that of the reference model where there is one, {@code m(y)} their mean,
 * c and r the chosen and the rejected answer, σ the logistic function:
 *
 * <pre>{@code
 * DPO    −(1 − ε)·ln σ(β·(s(c) − s(r))) − ε·ln σ(−β·(s(c) − s(r)))
 * IPO    (m(c) − m(r) − 1/(2β))²
 * ORPO   −m(c) − β·ln σ(o(c) − o(r)),   o(y) = m(y) − ln(1 − e^m(y)),   without a reference
 * }</pre>
 *
 * IPO takes means, as its authors do in their own code, so that answers of different lengths weigh
 * the same.
 *
 * @param reference what the model is held to, without gradients; {@code null} for ORPO
 * @param beta β, how firmly
 * @param smoothing ε: the share of pairs that are the wrong way round; for DPO
 * @see <a href="https://arxiv.org/abs/2305.18290">Rafailov et al. 2023, DPO</a>
 * @see <a href="https://arxiv.org/abs/2310.12036">Azar et al. 2023, IPO</a>
 * @see <a href="https://arxiv.org/abs/2403.07691">Hong et al. 2024, ORPO</a>
 */
public record Preference(
    Transformer model, @Nullable Transformer reference, Kind kind, float beta, float smoothing)
    implements Objective {

  /** What is made of the two log-probabilities. */
  public enum Kind {
    DPO,
    IPO,
    ORPO
  }

  public Preference {
    if (!(beta > 0) || !(smoothing >= 0 && smoothing < 0.5)) {
      throw new IllegalArgumentException(
          "beta must be more than 0 and the label smoothing in [0, 0.5), got %s and %s"
              .formatted(beta, smoothing));
    }
    if ((reference == null) != (kind == Kind.ORPO)) {
      throw new IllegalArgumentException(
          kind == Kind.ORPO ? "ORPO takes no reference" : kind + " needs a reference");
    }
  }

  @Override
  public Var loss(Tape tape, Batch batch, StepState state) {
    try (Turn _ = batch.get(TOKENS).device().turn()) {
      Pass pass = tape.isRecording() ? Pass.training(state) : Pass.PLAIN;
      Var logp = logProbabilities(tape, model, batch, pass); // F32 [B, 2]
      if (reference != null) {
        logp = Algebra.subtract(logp, tape.constant(ofReference(tape, reference, batch)));
      }
      Var weight = tape.constant(batch.get(WEIGHT)); // F32 [B, 1]
      Var losses =
          switch (kind) {
            case DPO -> dpo(logp);
            case IPO -> ipo(logp);
            case ORPO -> orpo(logp, weight);
          };
      return Losses.stepLoss(Algebra.multiply(losses, weight), state);
    }
  }

  private Var logProbabilities(Tape tape, Transformer of, Batch batch, Pass pass) {
    Tensor tokens = batch.get(TOKENS); // I32 [B, 2, T]
    int rows = 2 * tokens.dim(0);
    int seqLen = tokens.dim(2);
    Var losses =
        Losses.linearCrossEntropyLosses(
            of.hidden(tape, tokens.reshape(rows, seqLen), pass),
            of.headWeight(tape),
            batch.get(TARGETS).reshape(rows, seqLen),
            of.lossOptions());
    Var sums = Algebra.scale(Algebra.sum(losses, false, 1), -1).reshape(tokens.dim(0), 2);
    return kind == Kind.DPO
        ? sums
        : Algebra.multiply(sums, tape.constant(batch.get(INVERSE_LENGTHS)));
  }

  private Tensor ofReference(Tape tape, Transformer of, Batch batch) {
    Workspace workspace = tape.workspace();
    Tensor kept = tape.alloc(DType.F32, Shape.of(batch.get(TOKENS).dim(0), 2));
    try (Workspace.Scope _ = workspace.scope()) {
      Var found = logProbabilities(Tape.inference(workspace), of, batch, Pass.PLAIN);
      Elementwise.copy(kept, found.value());
    }
    return kept;
  }

  /** Chosen less rejected, [B, 1]. */
  private static Var margin(Var x) {
    return Algebra.subtract(Algebra.slice(x, 1, 0, 1), Algebra.slice(x, 1, 1, 2));
  }

  private Var dpo(Var logp) {
    Var margin = margin(logp);
    Var right = Functional.activate(Algebra.scale(margin, -beta), Activation.SOFTPLUS);
    if (smoothing == 0) {
      return right;
    }
    Var wrong = Functional.activate(Algebra.scale(margin, beta), Activation.SOFTPLUS);
    return Algebra.add(Algebra.scale(right, 1 - smoothing), Algebra.scale(wrong, smoothing));
  }

  private Var ipo(Var logp) {
    Var off = Algebra.subtract(margin(logp), constant(logp.tape(), 1 / (2 * beta)));
    return Algebra.multiply(off, off);
  }

  private Var orpo(Var logp, Var weight) {
    Tape tape = logp.tape();
    Var one = constant(tape, 1);
    Var mean = Algebra.add(logp, Algebra.subtract(weight, one)); // a row that fills up: e^−1, not 1
    Var odds = Algebra.subtract(mean, Algebra.log(Algebra.subtract(one, Algebra.exp(mean))));
    Var worse = Functional.activate(Algebra.scale(margin(odds), -1), Activation.SOFTPLUS);
    return Algebra.subtract(Algebra.scale(worse, beta), Algebra.slice(logp, 1, 0, 1));
  }

  private static Var constant(Tape tape, float value) {
    Tensor t = tape.alloc(DType.F32, Shape.of(1, 1));
    Fill.constant(t, value);
    return tape.constant(t);
  }

  @Override
  public void prepare(Batch batch) {
    int seqLen = batch.get(TOKENS).dim(2);
    model.prepare(seqLen);
    if (reference != null) {
      reference.prepare(seqLen);
    }
  }
}
