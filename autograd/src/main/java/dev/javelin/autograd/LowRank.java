package dev.javelin.autograd;

import static dev.javelin.autograd.Tape.inputs;

import dev.javelin.device.DType;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Elementwise;
import dev.javelin.tensor.op.Linear;
import dev.javelin.tensor.op.Matmul;
import dev.javelin.tensor.step.Workspace;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Products of two thin matrices that are added to columns of another: what adapters of low rank add
 * to a linear layer. Several parts that read the same input share its one product.
 *
 * @see <a href="https://arxiv.org/abs/2106.09685">Hu et al. 2021, LoRA</a>
 */
public final class LowRank {
  private LowRank() {}

  /**
   * One of the products.
   *
   * @param up B, [n, r]
   * @param column the first of the n columns that it is added to
   * @param scale its factor
   */
  public record Part(Var up, int column, float scale) {
    int rank() {
      return up.shape().dim(1);
    }

    private Tensor of(Tensor matrix) {
      return matrix.slice(1, column, column + up.shape().dim(0));
    }
  }

  /**
   * {@code y[.., columns of p] += scale_p · (x · A_pᵀ) · B_pᵀ} for each part, in y's own memory:
   * what made y must not need it for its gradient, as a product does not. All of one float type;
   * sums in fp32, 2·R·r·(K + n) FLOPs a part.
   *
   * @param y [.., N], contiguous; not to be used afterwards
   * @param x [.., K]
   * @param down the A of all parts below each other, [Σ r, K]
   * @param parts of columns that do not overlap
   */
  public static Var add(Var y, Var x, Var down, List<Part> parts) {
    int ranks = parts.stream().mapToInt(Part::rank).sum();
    Check.that("low_rank")
        .shape("y", y.value(), x.shape().with(-1, y.value().last()))
        .dtype("y", y.value(), x.value().dtype())
        .contiguous("y", y.value())
        .shape("down", down.value(), Shape.of(ranks, x.value().last()));
    Tape tape = x.tape();
    DType type = x.value().dtype();
    Tensor h = tape.alloc(type, Shape.of(x.value().rows(), ranks)); // scale · x · Aᵀ
    Tensor rows = matrix(x.value());
    Linear.forward(h, null, rows, down.value(), null, null);
    List<Tensor> inner = split(h, parts);
    for (int i = 0; i < parts.size(); i++) {
      Part p = parts.get(i);
      Elementwise.scale(inner.get(i), inner.get(i), p.scale);
      Matmul.forward(
          new Grad(p.of(matrix(y.value())), true), inner.get(i), p.up.value().transpose(0, 1));
    }
    List<@Nullable Var> inputs = new ArrayList<>(List.of(y, x, down));
    parts.forEach(p -> inputs.add(p.up));
    return tape.record(
        "low_rank",
        y.value(),
        inputs(inputs.toArray(new Var[0])),
        out -> {
          Tensor dy = matrix(out.dy());
          if (y.requiresGrad()) {
            Elementwise.scaleBackward(y.grad(), out.dy(), 1);
          }
          try (Workspace.Scratch scratch = tape.workspace().scratch(type, h.shape())) {
            Tensor dh = scratch.tensor();
            List<Tensor> inward = split(dh, parts);
            for (int i = 0; i < parts.size(); i++) {
              Part p = parts.get(i);
              Grad up = p.up.grad();
              Matmul.backward(
                  new Grad(inward.get(i), false),
                  up == null ? null : new Grad(up.tensor().transpose(0, 1), up.accumulate()),
                  p.of(dy),
                  inner.get(i),
                  p.up.value().transpose(0, 1));
              Elementwise.scale(inward.get(i), inward.get(i), p.scale);
            }
            Grad dx = x.grad();
            Linear.backward(
                dx == null ? null : new Grad(matrix(dx.tensor()), dx.accumulate()),
                down.grad(),
                null,
                dh,
                rows,
                down.value());
          }
        });
  }

  /** Each part's columns of {@code [rows, Σ r]}. */
  private static List<Tensor> split(Tensor h, List<Part> parts) {
    List<Tensor> out = new ArrayList<>();
    int from = 0;
    for (Part p : parts) {
      out.add(h.slice(1, from, from + p.rank()));
      from += p.rank();
    }
    return out;
  }

  private static Tensor matrix(Tensor t) {
    return t.reshape(t.rows(), t.last());
  }
}
