package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.cudaHeads;
import static dev.javelin.tensor.op.Operands.cudaHeadsOrNull;
import static dev.javelin.tensor.op.Operands.heads;
import static dev.javelin.tensor.op.Operands.headsOrNull;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.kernels.cpu.RopeCpu;
import dev.javelin.kernels.cpu.RopeGradSide;
import dev.javelin.kernels.cpu.RopeSide;
import dev.javelin.kernels.cuda.RopeCuda;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Rotary position embedding of queries and keys in one pass, each head RMS-normalised before where
 * there are weights: {@code rope(rmsNorm(x, w))}.
 *
 * @see Rope
 * @see RmsNorm
 */
public final class QkNormRope {
  private QkNormRope() {}

  /**
   * Queries or keys on the way forward.
   *
   * @param y receives the result, like x
   * @param rstd receives {@code 1 / sqrt(mean_d(x²) + eps)}, F32 [B, T, H]; {@code null} without
   *     normalisation
   * @param x [B, T, H, D] with a dense last dimension and any other strides
   * @param weight [D] of x's type; {@code null} without normalisation
   */
  public record Side(Tensor y, @Nullable Tensor rstd, Tensor x, @Nullable Tensor weight) {}

  /**
   * Queries or keys on the way back.
   *
   * @param dx where x's gradient goes, of x's type
   * @param dw where the weight's gradient goes, F32
   * @param dy {@code null}: zeros
   */
  public record GradSide(
      @Nullable Grad dx,
      @Nullable Grad dw,
      @Nullable Tensor dy,
      Tensor x,
      @Nullable Tensor weight,
      @Nullable Tensor rstd) {}

  /**
   * {@code y = rope(x · rstd · (offset + w))} for queries and keys, which may differ in the number
   * of heads.
   */
  public static void forward(Side q, Side k, Rotation rotation, float eps, float offset) {
    check("qkNormRope", "q", q.x, q.weight, q.rstd, rotation);
    check("qkNormRope", "k", k.x, k.weight, k.rstd, rotation);
    like("qkNormRope", "q.y", q.y, q.x);
    like("qkNormRope", "k.y", k.y, k.x);
    sameSteps("qkNormRope", q.x, k.x);
    switch (q.x.device()) {
      case Cpu cpu ->
          RopeCpu.forward(
              cpu,
              List.of(side(q), side(k)),
              rotation.cpu(),
              q.x.dim(0),
              q.x.dim(1),
              q.x.last(),
              eps,
              offset);
      case Cuda cuda ->
          RopeCuda.forward(cuda, List.of(cudaSide(q), cudaSide(k)), rotation.cuda(), eps, offset);
    }
  }

  /**
   * With {@code g} the gradient turned back and the offset in w: {@code dw = Σ g·x·rstd} over
   * batch, time and heads, {@code dx = rstd · (g·w − x · rstd² · mean_d(g·w·x))}; without
   * normalisation {@code dx = g}.
   */
  public static void backward(GradSide q, GradSide k, Rotation rotation, float offset) {
    List<GradSide> wanted = new ArrayList<>(2);
    for (GradSide s : List.of(q, k)) {
      String op = "qkNormRope backward";
      check(op, s == q ? "q" : "k", s.x, s.weight, s.rstd, rotation);
      Check check = Check.that(op).like("dx", s.dx, "x", s.x);
      if (s.weight != null) {
        check.weightGrad("dw", s.dw, "weight", s.weight);
      }
      if (s.dx != null) {
        Operands.checkHeads(check, "dx", s.dx.tensor());
      }
      if (s.dw != null && !s.dw.accumulate()) {
        Fill.zero(s.dw.tensor());
      }
      if (s.dy == null) {
        if (s.dx != null && !s.dx.accumulate()) {
          Fill.zero(s.dx.tensor());
        }
        continue;
      }
      like(op, "dy", s.dy, s.x);
      wanted.add(s);
    }
    sameSteps("qkNormRope backward", q.x, k.x);
    switch (q.x.device()) {
      case Cpu cpu ->
          RopeCpu.backward(
              cpu,
              wanted.stream().map(QkNormRope::side).toList(),
              rotation.cpu(),
              q.x.dim(0),
              q.x.dim(1),
              q.x.last(),
              offset);
      case Cuda cuda ->
          RopeCuda.backward(
              cuda, wanted.stream().map(QkNormRope::cudaSide).toList(), rotation.cuda(), offset);
    }
  }

  private static RopeSide side(Side s) {
    return new RopeSide(
        heads(s.y),
        s.rstd == null ? null : s.rstd.segment(),
        heads(s.x),
        s.weight == null ? null : s.weight.segment(),
        s.x.dim(2));
  }

  private static RopeGradSide side(GradSide s) {
    return new RopeGradSide(
        headsOrNull(s.dx),
        s.dw == null ? null : s.dw.tensor().segment(),
        heads(Objects.requireNonNull(s.dy)),
        heads(s.x),
        s.weight == null ? null : s.weight.segment(),
        s.rstd == null ? null : s.rstd.segment(),
        s.x.dim(2));
  }

  private static RopeCuda.Side cudaSide(Side s) {
    return new RopeCuda.Side(cudaHeads(s.y), s.rstd, cudaHeads(s.x), s.weight);
  }

  private static RopeCuda.GradSide cudaSide(GradSide s) {
    return new RopeCuda.GradSide(
        cudaHeadsOrNull(s.dx),
        s.dw == null ? null : s.dw.tensor(),
        cudaHeads(Objects.requireNonNull(s.dy)),
        cudaHeads(s.x),
        s.weight,
        s.rstd);
  }

  private static void check(
      String op,
      String name,
      Tensor x,
      @Nullable Tensor weight,
      @Nullable Tensor rstd,
      Rotation rotation) {
    Check check = Check.that(op).floats(name, x).rank(name, x, 4);
    Operands.checkHeads(check, name, x);
    check.is(
        (weight == null) == (rstd == null),
        () -> name + " needs both weight and rstd to be normalised, or neither");
    if (weight != null && rstd != null) {
      check
          .shape(name + ".weight", weight, Shape.of(x.last()))
          .dtype(name + ".weight", weight, x.dtype())
          .contiguous(name + ".weight", weight)
          .shape(name + ".rstd", rstd, Shape.of(x.dim(0), x.dim(1), x.dim(2)))
          .dtype(name + ".rstd", rstd, DType.F32)
          .contiguous(name + ".rstd", rstd);
    }
    rotation.check(op, x);
  }

  private static void like(String op, String name, Tensor t, Tensor x) {
    Check check = Check.that(op).sameShape(name, t, "x", x).dtype(name, t, x.dtype());
    Operands.checkHeads(check, name, t);
  }

  private static void sameSteps(String op, Tensor q, Tensor k) {
    Check.that(op)
        .is(
            q.dim(0) == k.dim(0) && q.dim(1) == k.dim(1) && q.dim(3) == k.dim(3),
            () ->
                "q and k must agree in all but their heads, got " + q.shape() + " and " + k.shape())
        .dtype("k", k, q.dtype());
  }
}
