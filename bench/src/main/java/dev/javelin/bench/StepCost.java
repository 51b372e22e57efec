package dev.javelin.bench;

import dev.javelin.device.DType;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a training step costs, operator by operator: forward, backward, global norm, AdamW; without
 * accumulation of micro-batches, without dropout. It follows {@code Transformer.loss} and {@code
 * Optimizer.step} for the two architectures of the PyTorch peer.
 */
final class StepCost {

  /**
   * An operator, over all layers or chunks of rows.
   *
   * @param shape of a product or of attention; null for anything else
   */
  record Part(String what, int times, Cost each, @Nullable TensorShape shape) {
    Part(String what, int times, Cost each) {
      this(what, times, each, null);
    }

    Part(String what, int times, TensorShape shape, DType type) {
      this(what, times, shape.cost(type), shape);
    }

    Cost cost() {
      return each.times(times);
    }
  }

  private final ModelCase c;
  private final ModelCase.Model m;
  private final DType type;
  private final int rows;
  private final List<Part> parts = new ArrayList<>();

  private StepCost(ModelCase c, DType type) {
    this.c = c;
    this.m = c.model();
    this.type = type;
    this.rows = c.tokens();
  }

  static List<Part> of(ModelCase c, DType type) {
    StepCost step = new StepCost(c, type);
    step.embedding();
    step.norms();
    step.attention();
    step.mlp();
    step.loss();
    step.update();
    return step.parts;
  }

  /** One after the other: no kernel overlaps another. */
  static double millis(List<Part> parts, Card card) {
    return parts.stream().mapToDouble(p -> p.times() * card.millis(p.each())).sum();
  }

  static Cost sum(List<Part> parts) {
    return parts.stream().map(Part::cost).reduce(Cost.NONE, Cost::plus);
  }

  private void add(String what, int times, Cost each) {
    parts.add(new Part(what, times, each));
  }

  private void add(String what, TensorShape shape) {
    parts.add(new Part(what, m.layers(), shape, type));
  }

  private void embedding() {
    int tables = m.isGpt2() ? 2 : 1; // tokens, learned positions
    add("embedding", 1, OpCase.EMBEDDING.cost(type, rows, m.width(), m.vocabulary()));
    add(
        "embedding, backward",
        tables,
        OpCase.EMBEDDING_BACKWARD.cost(type, rows, m.width(), m.vocabulary()));
  }

  /** Two in each block and one at the end; all but the first take the residual with them. */
  private void norms() {
    boolean layer = m.isGpt2();
    int fused = 2 * m.layers();
    int[] size = {rows, m.width()};
    add("norm", 1, (layer ? OpCase.LAYERNORM : OpCase.RMSNORM).cost(type, size));
    add(
        "residual + norm",
        fused,
        (layer ? OpCase.ADD_LAYERNORM : OpCase.ADD_RMSNORM).cost(type, size));
    add(
        "norm, backward",
        1,
        (layer ? OpCase.LAYERNORM_BACKWARD : OpCase.RMSNORM_BACKWARD).cost(type, size));
    add(
        "residual + norm, backward",
        fused,
        (layer ? OpCase.ADD_LAYERNORM_BACKWARD : OpCase.ADD_RMSNORM_BACKWARD).cost(type, size));
  }

  private void attention() {
    linear("qkv", m.width() + 2 * m.keyWidth(), m.width());
    linear("attention's output", m.width(), m.width());
    int dim = m.width() / m.heads();
    if (!m.isGpt2()) {
      Cost rope = OpCase.ROPE.cost(type, c.batch(), c.length(), m.heads() + m.kvHeads(), dim);
      add("rotary positions", m.layers(), rope);
      add("rotary positions, backward", m.layers(), rope);
    }
    for (boolean backward : new boolean[] {false, true}) {
      add(
          backward ? "attention, backward" : "attention",
          new AttentionShape(c.batch(), m.heads(), m.kvHeads(), c.length(), dim, backward));
    }
  }

  private void mlp() {
    if (m.isGpt2()) {
      linear("mlp up", m.ffn(), m.width());
      // GELU is applied in the product's epilogue, which keeps what it was applied to.
      double kept = (double) rows * m.ffn() * type.bytes(1);
      add("GELU in the epilogue", m.layers(), Cost.elementwise(kept, 20.0 * rows * m.ffn()));
      add("GELU, backward", m.layers(), OpCase.GELU_BACKWARD.cost(type, rows, m.ffn()));
    } else {
      linear("mlp gate and up", 2 * m.ffn(), m.width());
      add("SwiGLU", m.layers(), OpCase.SWIGLU.cost(type, rows, m.ffn()));
      add("SwiGLU, backward", m.layers(), OpCase.SWIGLU_BACKWARD.cost(type, rows, m.ffn()));
    }
    linear("mlp down", m.width(), m.ffn());
  }

  /** y = x·wᵀ + b, dx = dy·w, dw += dyᵀ·x, db += Σ dy; of a GPT-2 with bias. */
  private void linear(String what, int out, int in) {
    add(what, new MatmulShape(rows, out, in, false, true));
    add(what + ", dx", new MatmulShape(rows, in, out, false, false));
    add(what + ", dw", new MatmulShape(out, in, rows, true, false));
    if (m.isGpt2()) {
      add(what + ", db", m.layers(), OpCase.BIAS_GRADIENT.cost(type, rows, out));
    }
  }

  private void loss() {
    parts.addAll(HeadCost.of(type, rows, m.width(), m.vocabulary()));
  }

  private void update() {
    long positions = m.isGpt2() ? (long) c.length() * m.width() : 0;
    int parameters = Math.toIntExact(m.parameters() + positions);
    add("global norm", 1, OpCase.GLOBAL_NORM.cost(type, parameters));
    add("AdamW", 1, OpCase.ADAMW.cost(type, parameters));
  }
}
