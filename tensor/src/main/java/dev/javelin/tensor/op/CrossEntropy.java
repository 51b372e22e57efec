package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.cudaRows;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.kernels.cpu.CrossEntropyCpu;
import dev.javelin.kernels.cuda.CrossEntropyCuda;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Cross-entropy of rows of logits with integer targets, one loss a row; {@link MeanLoss} makes one
 * number of them.
 */
public final class CrossEntropy {
  private CrossEntropy() {}

  /**
   * With {@code lse = ln Σ_v exp(x[v])}, t the target, s the label smoothing and z the factor of
   * the z-loss: {@code losses[r] = (1-s)·(lse - x[t]) + s·(lse - mean_v(x[v])) + z·lse²}, and 0
   * where t is ignored.
   *
   * @param losses F32, the shape of targets
   * @param stats F32 [R, 2], saved for backward: largest logit and {@code Σ_v exp(x[v] - max)}
   * @param logits [.., V] with dense rows, any float type
   * @param targets I32, logits' leading dimensions
   * @see <a href="https://arxiv.org/abs/1512.00567">Szegedy et al. 2015 (label smoothing)</a>
   * @see <a href="https://arxiv.org/abs/2204.02311">Chowdhery et al. 2022 (z-loss)</a>
   */
  public static void forward(
      Tensor losses, Tensor stats, Tensor logits, Tensor targets, LossOptions options) {
    Check.that("crossEntropy")
        .floats("logits", logits)
        .denseRows("logits", logits)
        .is(
            targets.elements() == logits.rows(),
            () ->
                "targets must have one element for each row of logits "
                    + logits.shape()
                    + ", got "
                    + targets.shape())
        .sameShape("losses", losses, "targets", targets)
        .dtype("losses", losses, DType.F32)
        .shape("stats", stats, Shape.of(logits.rows(), 2))
        .dtype("stats", stats, DType.F32);
    Ids.check(
        "crossEntropy", "targets", targets, logits.last(), "vocabulary", options.ignoreIndex());
    switch (logits.device()) {
      case Cpu cpu ->
          CrossEntropyCpu.forward(
              cpu,
              losses.segment(),
              stats.segment(),
              logits.segment(),
              logits.rowStride(),
              logits.dtype(),
              targets.segment(),
              logits.rows(),
              logits.last(),
              options.form());
      case Cuda cuda ->
          CrossEntropyCuda.forward(cuda, losses, stats, cudaRows(logits), targets, options.form());
    }
  }

  /**
   * {@code dlogits[r,v] = dy[r]·((1 + 2·z·lse)·p[v] - s/V - (1-s)·[v = t])} with {@code p[v] =
   * exp(x[v] - lse)}, and 0 where t is ignored; dlogits of logits' type or {@code null}, dy F32.
   */
  public static void backward(
      @Nullable Grad dlogits,
      Tensor dy,
      Tensor logits,
      Tensor targets,
      Tensor stats,
      LossOptions options) {
    if (dlogits == null) {
      return;
    }
    Check.that("crossEntropy backward")
        .like("dlogits", dlogits, "logits", logits)
        .denseRows("dlogits", dlogits)
        .sameShape("dy", dy, "targets", targets)
        .dtype("dy", dy, DType.F32)
        .contiguous("dy", dy);
    switch (logits.device()) {
      case Cpu cpu ->
          CrossEntropyCpu.backward(
              cpu,
              dlogits.tensor().segment(),
              dlogits.tensor().dtype(),
              dlogits.tensor().rowStride(),
              dlogits.accumulate(),
              dy.segment(),
              logits.segment(),
              logits.rowStride(),
              logits.dtype(),
              targets.segment(),
              stats.segment(),
              logits.rows(),
              logits.last(),
              options.form());
      case Cuda cuda ->
          CrossEntropyCuda.backward(
              cuda, cudaRows(dlogits), dy, cudaRows(logits), targets, stats, options.form());
    }
  }
}
