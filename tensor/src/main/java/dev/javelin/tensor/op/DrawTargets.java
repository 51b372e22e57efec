package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.cudaRows;
import static dev.javelin.tensor.op.Operands.rows;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.kernels.cpu.DrawTargetsCpu;
import dev.javelin.kernels.cuda.DrawTargetsCuda;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;

/**
 * Targets drawn from a model's own distribution, for estimates of curvature. No gradient flows
 * through it.
 *
 * @see <a href="https://arxiv.org/abs/2305.14342">Sophia: a scalable stochastic second-order
 *     optimizer for language model pre-training</a>, algorithm 2
 */
public final class DrawTargets {
  private DrawTargets() {}

  /**
   * {@code ids[r] ~ softmax(logits[r])}; {@code targets[r]} where that is ignored. What is drawn is
   * a function of (seed, step, place of the row in the step's batch): the same for any split of it.
   *
   * @param ids I32 [R]
   * @param logits [R, V], any float type, dense rows
   * @param targets I32 [R]
   * @param first number of the first row in the micro-batch
   * @param length rows of a sequence, of which {@link StepState#firstSequence} counts
   * @param options the ignored index, and a soft cap on the logits
   */
  public static void run(
      Tensor ids,
      Tensor logits,
      Tensor targets,
      int first,
      int length,
      LossOptions options,
      StepState state) {
    Check.that("drawTargets")
        .floats("logits", logits)
        .denseRows("logits", logits)
        .is(
            ids.elements() == logits.rows(),
            () -> "ids must have one element for each row of " + logits.form() + ", got " + ids)
        .dtype("ids", ids, DType.I32)
        .contiguous("ids", ids)
        .sameShape("targets", targets, "ids", ids)
        .dtype("targets", targets, DType.I32)
        .contiguous("targets", targets);
    switch (logits.device()) {
      case Cpu cpu ->
          DrawTargetsCpu.run(
              cpu,
              ids.segment(),
              rows(logits),
              targets.segment(),
              options.ignoreIndex(),
              options.softCap(),
              new DrawTargetsCpu.Key(
                  state.seed(), state.step(), state.firstSequence() * length + first));
      case Cuda cuda ->
          DrawTargetsCuda.run(
              cuda,
              ids,
              cudaRows(logits),
              targets,
              state,
              first,
              length,
              options.ignoreIndex(),
              options.softCap());
    }
  }
}
