package dev.javelin.nn.adapter;

import dev.javelin.autograd.Algebra;
import dev.javelin.autograd.LowRank;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.DType;
import dev.javelin.nn.Adapter;
import dev.javelin.nn.Dropout;
import dev.javelin.nn.Linear;
import dev.javelin.nn.Pass;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.QuantizedMatrix;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Elementwise;
import dev.javelin.tensor.op.Fill;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * LoRA and DoRA of a linear layer that may be several in one, such as queries, keys and values:
 * each part p has rows of W, and x̃ is x with dropout in training.
 *
 * <pre>
 * LoRA  y_p = x·W_pᵀ + b_p + s_p·(x̃·A_pᵀ)·B_pᵀ
 * DoRA  y_p = x·W_pᵀ + b_p + g_p ⊙ (x̃·W_pᵀ + s_p·(x̃·A_pᵀ)·B_pᵀ) − x̃·W_pᵀ,  g_p = m_p / ‖W_p + s_p·B_p·A_p‖
 * </pre>
 *
 * The norm is taken row by row and is a constant for the gradient, as in PEFT.
 *
 * @param down the A of all parts below each other, [Σ r, in]
 * @param parts in the order of their rows
 */
record LowRankAdapter(Parameter down, List<Part> parts, Dropout dropout) implements Adapter {

  /**
   * Rows of the layer with an adapter of their own.
   *
   * @param module its name in files
   * @param row the first
   * @param up B, [rows, r]
   * @param scale s
   * @param magnitude m of DoRA, [rows]; {@code null} for LoRA
   * @param squares of DoRA: ‖W_p‖² row by row, F32 [rows, 1]; {@code null} for LoRA
   */
  record Part(
      String module,
      int row,
      Parameter up,
      float scale,
      @Nullable Parameter magnitude,
      @Nullable Tensor squares) {
    int rows() {
      return up.value().dim(0);
    }

    int rank() {
      return up.value().dim(1);
    }
  }

  @Override
  public Var forward(Linear base, Var x, Pass pass) {
    Var in = dropout.forward(x, pass);
    if (parts.getFirst().magnitude == null) {
      return add(base.forward(x, pass), in);
    }
    Tape tape = x.tape();
    Linear plain = new Linear(base.weight(), null);
    Var gain = gain(plain, tape);
    if (in == x) {
      Var y = Algebra.multiply(add(plain.forward(x, pass), x), gain);
      return base.bias() == null ? y : Algebra.add(y, tape.param(base.bias()));
    }
    Var product = plain.forward(in, pass);
    Var delta = Algebra.add(product, add(tape.constant(zeros(product)), in));
    Var change = Algebra.subtract(Algebra.multiply(delta, gain), product);
    return Algebra.add(base.forward(x, pass), change);
  }

  private Var add(Var y, Var x) {
    Tape tape = x.tape();
    return LowRank.add(
        y,
        x,
        tape.param(down),
        parts.stream().map(p -> new LowRank.Part(tape.param(p.up), p.row, p.scale)).toList());
  }

  private static Tensor zeros(Var like) {
    Tensor zeros = like.like();
    Fill.zero(zeros);
    return zeros;
  }

  /** m / ‖W + s·B·A‖ of each row, 1 where there is no part: F32 [out]. */
  private Var gain(Linear plain, Tape tape) {
    Tensor products = // [Σ r, out]
        plain.forward(Tape.inference(tape.workspace()).constant(down.value())).value();
    List<Var> gains = new ArrayList<>();
    int row = 0;
    int rank = 0;
    for (Part p : parts) {
      gains.add(ones(tape, p.row - row));
      row = p.row + p.rows();
      Tensor own = products.slice(0, rank, rank + p.rank()).slice(1, p.row, row);
      Tensor a = down.value().slice(0, rank, rank + p.rank());
      Parameter m = Objects.requireNonNull(p.magnitude);
      gains.add(Algebra.divide(Algebra.cast(tape.param(m), DType.F32), norm(p, a, own, tape)));
      rank += p.rank();
    }
    gains.add(ones(tape, products.dim(1) - row));
    gains.removeIf(g -> g.shape().elements() == 0);
    return gains.size() == 1 ? gains.getFirst() : Algebra.concat(0, gains.toArray(new Var[0]));
  }

  private static Var ones(Tape tape, int count) {
    Tensor ones = tape.alloc(DType.F32, Shape.of(count));
    if (count > 0) {
      Fill.constant(ones, 1);
    }
    return tape.constant(ones);
  }

  /**
   * ‖W + s·B·A‖ of each row without that matrix: the root of {@code ‖W‖² + 2s·Σ_k B_k·(A·Wᵀ)_k +
   * s²·Σ_k B_k·(B·A·Aᵀ)_k}.
   *
   * @param products A·Wᵀ, [r, rows]
   */
  private static Var norm(Part p, Tensor a, Tensor products, Tape tape) {
    Tensor b = p.up.value();
    Shape column = Shape.of(p.rows(), 1);
    Tensor cross = tape.alloc(DType.F32, column);
    Elementwise.multiply(cross, b, products.transpose(0, 1));
    Elementwise.scale(cross, cross, 2 * p.scale);
    Tensor gram = tape.alloc(DType.F32, Shape.of(p.rank(), p.rank()));
    Tensor wide = tape.alloc(DType.F32, a.shape());
    Elementwise.copy(wide, a);
    dev.javelin.tensor.op.Linear.forward(gram, null, wide, wide, null, null);
    Tensor exact = tape.alloc(DType.F32, b.shape());
    Elementwise.copy(exact, b);
    Tensor spread = tape.alloc(DType.F32, b.shape());
    dev.javelin.tensor.op.Linear.forward(spread, null, exact, gram, null, null);
    Tensor square = tape.alloc(DType.F32, column);
    Elementwise.multiply(square, exact, spread);
    Elementwise.scale(square, square, p.scale * p.scale);
    Elementwise.add(square, square, cross);
    Elementwise.add(square, square, Objects.requireNonNull(p.squares));
    Elementwise.sqrt(square, square);
    return tape.constant(square.reshape(p.rows()));
  }

  private static float[] squares(float[] weights, Part p, int in) {
    float[] squares = new float[p.rows()];
    for (int r = 0; r < squares.length; r++) {
      double sum = 0;
      for (int i = 0; i < in; i++) {
        double w = weights[(p.row + r) * in + i];
        sum += w * w;
      }
      squares[r] = (float) sum;
    }
    return squares;
  }

  /** Takes ‖W‖² of the frozen layer, before the first pass. */
  void measure(Linear base) {
    for (Part p : parts) {
      if (p.squares != null) {
        QuantizedMatrix few = base.weight().quantized();
        if (few != null) {
          p.squares.fromHost(MemorySegment.ofArray(squares(few.toFloats(), p, few.in())));
          continue;
        }
        Tensor rows = base.weight().value().slice(0, p.row, p.row + p.rows());
        Elementwise.multiply(p.squares, rows, rows);
      }
    }
  }
}
