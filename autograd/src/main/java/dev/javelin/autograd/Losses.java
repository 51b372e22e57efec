package dev.javelin.autograd;

import static dev.javelin.autograd.Tape.inputs;

import dev.javelin.device.DType;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.CrossEntropy;
import dev.javelin.tensor.op.DrawTargets;
import dev.javelin.tensor.op.Linear;
import dev.javelin.tensor.op.LinearCrossEntropy;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.op.MeanLoss;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import org.jspecify.annotations.Nullable;

/**
 * The differentiable losses: of rows of logits, and one number of them. They run and record as
 * those of {@link Functional} do.
 */
public final class Losses {
  private Losses() {}

  /** Cross-entropy of the last dimension, one loss for each target; see {@link CrossEntropy}. */
  public static Var crossEntropy(Var logits, Tensor targets, LossOptions options) {
    Tensor losses = logits.tape().alloc(DType.F32, targets.shape());
    Tensor stats = logits.alloc(DType.F32, logits.value().rows(), 2);
    CrossEntropy.forward(losses, stats, logits.value(), targets, options);
    return logits
        .tape()
        .record(
            "cross_entropy",
            losses,
            inputs(logits),
            out ->
                CrossEntropy.backward(
                    logits.grad(), out.dy(), logits.value(), targets, stats, options));
  }

  /**
   * The training loss {@code (1/N) Σ losses} of {@code x·wᵀ}, as the root of backward: in training
   * the gradients, times the loss scale, are written in the forward pass already, and nothing is
   * saved. The loss is added to the step's. See {@link LinearCrossEntropy}.
   *
   * @throws IllegalStateException in backward, where it is not the root; then use {@link
   *     #linearCrossEntropyLosses}
   */
  public static Var linearCrossEntropy(
      Var x, Var w, Tensor targets, LossOptions options, StepState state) {
    Workspace ws = x.tape().workspace();
    Tensor loss = x.alloc(DType.F32);
    // Recorded before the gradients are asked for: their memory then belongs to the nodes that made
    // x and w and outlives this one.
    Var out = x.tape().recordAhead("linear_cross_entropy", loss, inputs(x, w), Losses::requireRoot);
    int rows = x.value().rows();
    Shape scratch = LinearCrossEntropy.scratch(ws.device(), rows, w.value().dim(0));
    try (var losses = ws.scratch(DType.F32, targets.shape());
        var stats = ws.scratch(DType.F32, Shape.of(rows, 2));
        var dy = ws.scratch(DType.F32, targets.shape());
        var logits = ws.scratch(DType.F32, scratch, Workspace.LOGITS)) {
      if (out.requiresGrad()) {
        MeanLoss.backward(
            new Grad(dy.tensor(), false), state.lossScaleTensor(), state.inverseTargetsTensor());
        LinearCrossEntropy.forwardBackward(
            losses.tensor(),
            stats.tensor(),
            x.grad(),
            w.grad(),
            dy.tensor(),
            x.value(),
            w.value(),
            targets,
            options,
            logits.tensor());
      } else {
        LinearCrossEntropy.forward(
            losses.tensor(),
            stats.tensor(),
            x.value(),
            w.value(),
            targets,
            options,
            logits.tensor());
      }
      MeanLoss.forward(loss, losses.tensor(), state.inverseTargetsTensor(), state);
    }
    x.tape().tell();
    return out;
  }

  /**
   * Targets drawn from the softmax of {@code x·wᵀ}, where those given are not ignored; see {@link
   * DrawTargets}. No gradient flows through it. The logits exist some rows at a time, in x's type.
   *
   * @param targets I32 [B, T], of x's leading dimensions
   */
  public static Tensor drawTargets(
      Var x, Var w, Tensor targets, LossOptions options, StepState state) {
    Workspace ws = x.tape().workspace();
    Tensor ids = x.tape().alloc(DType.I32, targets.shape());
    int rows = x.value().rows();
    int vocabulary = w.value().dim(0);
    int chunk = LinearCrossEntropy.scratch(ws.device(), rows, vocabulary).dim(0);
    Tensor flat = x.value().reshape(rows, x.value().last());
    Tensor flatIds = ids.reshape(rows);
    Tensor flatTargets = targets.reshape(rows);
    try (var logits = ws.scratch(x.value().dtype(), Shape.of(chunk, vocabulary))) {
      for (int from = 0; from < rows; from += chunk) {
        int to = Math.min(rows, from + chunk);
        Tensor some = logits.tensor().slice(0, 0, to - from);
        Linear.forward(some, null, flat.slice(0, from, to), w.value(), null, null);
        DrawTargets.run(
            flatIds.slice(0, from, to),
            some,
            flatTargets.slice(0, from, to),
            from,
            targets.last(),
            options,
            state);
      }
    }
    return ids;
  }

  private static void requireRoot(Var out) {
    if (!out.isRoot()) {
      throw new IllegalStateException(
          "linearCrossEntropy: its gradients were written in the forward pass, so it must be the"
              + " root of backward; as one term of a loss use linearCrossEntropyLosses");
    }
  }

  /**
   * One loss for each target, of logits {@code x·wᵀ} that are computed again in backward; for
   * losses that are not the root. See {@link LinearCrossEntropy}.
   */
  public static Var linearCrossEntropyLosses(Var x, Var w, Tensor targets, LossOptions options) {
    Workspace ws = x.tape().workspace();
    Tensor losses = x.tape().alloc(DType.F32, targets.shape());
    Tensor stats = x.alloc(DType.F32, x.value().rows(), 2);
    Shape scratch = LinearCrossEntropy.scratch(ws.device(), x.value().rows(), w.value().dim(0));
    try (var logits = ws.scratch(DType.F32, scratch, Workspace.LOGITS)) {
      LinearCrossEntropy.forward(
          losses, stats, x.value(), w.value(), targets, options, logits.tensor());
    }
    return x.tape()
        .record(
            "linear_cross_entropy",
            losses,
            inputs(x, w),
            out -> {
              try (var logits = ws.scratch(DType.F32, scratch, Workspace.LOGITS)) {
                LinearCrossEntropy.backward(
                    x.grad(),
                    w.grad(),
                    out.dy(),
                    x.value(),
                    w.value(),
                    targets,
                    stats,
                    options,
                    logits.tensor());
              }
            });
  }

  /** The mean over the targets that are not ignored; 0 where all are. See {@link MeanLoss}. */
  public static Var meanLoss(Var losses, Tensor targets, LossOptions options) {
    Tensor weight = losses.alloc(DType.F32);
    MeanLoss.weightOfValid(weight, targets, options.ignoreIndex());
    return weighted(losses, weight, null);
  }

  /**
   * A micro-batch's share {@code (1/N) Σ losses} of the step's loss, N being the step's valid
   * targets; added to the step's loss. See {@link MeanLoss}.
   */
  public static Var stepLoss(Var losses, StepState state) {
    return weighted(losses, state.inverseTargetsTensor(), state);
  }

  private static Var weighted(Var losses, Tensor weight, @Nullable StepState state) {
    Tensor loss = losses.alloc(DType.F32);
    MeanLoss.forward(loss, losses.value(), weight, state);
    return losses
        .tape()
        .record(
            "mean_loss",
            loss,
            inputs(losses),
            out -> MeanLoss.backward(losses.grad(), out.dy(), weight));
  }
}
