package dev.javelin.train.xray;

import dev.javelin.autograd.Probe;
import dev.javelin.autograd.Var;
import dev.javelin.nn.Mlp;
import dev.javelin.nn.Transformer;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Tensor;
import dev.javelin.train.xray.Xray.AttentionHead;
import dev.javelin.train.xray.Xray.Cost;
import dev.javelin.train.xray.Xray.Lens;
import dev.javelin.train.xray.Xray.Op;
import dev.javelin.train.xray.Xray.StreamPoint;
import dev.javelin.train.xray.Xray.Units;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Reads what a page shows while the pass runs, since little of it is kept. */
final class Look implements Probe {
  private final Transformer model;
  private final LogitLens lens;
  private final double unscale; // of gradients: 1 / loss scale

  private final List<Seen> ops = new ArrayList<>();
  private final Map<Var, Integer> madeBy = new IdentityHashMap<>();
  private final List<AttentionHead> attention = new ArrayList<>();
  private final List<Point> points = new ArrayList<>();
  private final Map<Var, Point> pointOf = new IdentityHashMap<>();
  private final List<Inside> insides = new ArrayList<>();
  private double[] embedded = {};
  private double[] saliency = {};

  /** A function, and what came of it backward. */
  private static final class Seen {
    final Step step;
    final List<Integer> inputs;
    final Cost forward;
    Cost backward = Cost.NONE;
    double gradientNorm = Double.NaN;

    Seen(Step step, List<Integer> inputs, Cost forward) {
      this.step = step;
      this.inputs = inputs;
      this.forward = forward;
    }
  }

  /** A place of the residual stream. */
  private static final class Point {
    final String part;
    final int layer;
    final double[] norms;
    final List<Lens> lens;
    double[] gradients;

    Point(String part, int layer, double[] norms, List<Lens> lens) {
      this.part = part;
      this.layer = layer;
      this.norms = norms;
      this.lens = lens;
      this.gradients = new double[norms.length];
      Arrays.fill(gradients, Double.NaN);
    }
  }

  /** What the last product of an MLP reads. */
  private static final class Inside {
    final int layer;
    final int count;
    final int silent;
    int untaught;

    Inside(int layer, Tensor units) {
      this.layer = layer;
      this.count = units.last();
      this.silent = silent(units);
    }
  }

  Look(Transformer model, LogitLens lens, double lossScale) {
    this.model = model;
    this.lens = lens;
    this.unscale = 1 / lossScale;
  }

  @Override
  public void forward(Step step, long nanos) {
    List<Integer> inputs = new ArrayList<>();
    for (Var v : step.inputs()) {
      Integer maker = v == null ? null : madeBy.get(v.origin());
      if (maker != null && !inputs.contains(maker)) {
        inputs.add(maker);
      }
    }
    step.outputs().forEach(out -> madeBy.put(out.origin(), step.index()));
    ops.add(new Seen(step, inputs, OpCost.forward(step, model)));
    if (step.name().equals("attention") && step.layer() != NO_LAYER) {
      attention.addAll(
          AttentionWeights.of(
              model.blocks().get(step.layer()).attn(), value(step, 0), value(step, 1)));
    }
    if (multiplies(step, Look::down)) {
      insides.add(new Inside(step.layer(), value(step, 0)));
    }
  }

  private static Tensor value(Step step, int input) {
    return Objects.requireNonNull(step.inputs().get(input)).value();
  }

  /** Whether the function is the product with that weight of its layer's MLP. */
  private boolean multiplies(Step step, Function<Mlp, @Nullable Parameter> weight) {
    if (!step.name().equals("linear") || step.layer() == NO_LAYER) {
      return false;
    }
    Var read = step.inputs().get(1);
    return read != null
        && read.parameter() != null
        && read.parameter() == weight.apply(model.blocks().get(step.layer()).mlp());
  }

  private static @Nullable Parameter down(Mlp mlp) {
    return switch (mlp) {
      case Mlp.Gated gated -> gated.down().weight();
      case Mlp.Plain plain -> plain.down().weight();
      case Mlp _ -> null;
    };
  }

  private static @Nullable Parameter up(Mlp mlp) {
    return switch (mlp) {
      case Mlp.Gated gated -> gated.gateUp().weight();
      case Mlp.Plain plain -> plain.up().weight();
      case Mlp _ -> null;
    };
  }

  /** Columns that are zero in every row. */
  private static int silent(Tensor t) {
    float[] values = t.toFloats();
    int width = t.last();
    boolean[] speaks = new boolean[width];
    for (int i = 0; i < values.length; i++) {
      speaks[i % width] |= values[i] != 0;
    }
    int silent = 0;
    for (boolean s : speaks) {
      silent += s ? 0 : 1;
    }
    return silent;
  }

  @Override
  public void stream(String part, int layer, Var sum, @Nullable Var pending) {
    double[] x = Sums.doubles(sum.value());
    if (pending != null) {
      float[] h = pending.value().toFloats();
      for (int i = 0; i < x.length; i++) {
        x[i] += h[i];
      }
    }
    if (points.isEmpty()) {
      embedded = x;
    }
    Point point =
        new Point(
            part,
            layer,
            Sums.lengths(x, sum.value().last(), 1),
            lens.of(sum.value(), pending == null ? null : pending.value()));
    points.add(point);
    pointOf.put((pending == null ? sum : pending).origin(), point);
  }

  @Override
  public void gradient(Step step) {
    double squares = 0;
    for (Var out : step.outputs()) {
      Tensor dy = out.dyOrNull();
      if (dy == null) {
        continue;
      }
      double[] values = Sums.doubles(dy);
      for (double v : values) {
        squares += v * v;
      }
      Point point = pointOf.get(out.origin());
      if (point != null) {
        point.gradients = Sums.lengths(values, dy.last(), unscale);
        if (point == points.getFirst()) {
          saliency = saliency(values, dy.last());
        }
      }
    }
    Seen seen = ops.get(step.index());
    seen.gradientNorm = Math.sqrt(squares) * unscale;
    seen.backward = OpCost.backward(step, model);
  }

  /** The rows in front of a unit have their gradient now: one of a gated unit's two is enough. */
  @Override
  public void backward(Step step, long nanos) {
    if (!multiplies(step, Look::up)) {
      return;
    }
    Parameter weight = Objects.requireNonNull(step.inputs().get(1)).parameter();
    Tensor gradient = Objects.requireNonNull(weight).grad();
    for (Inside inside : insides) {
      if (inside.layer == step.layer() && gradient != null) {
        boolean[] zero = Sums.zeroRows(gradient);
        for (int unit = 0; unit < inside.count; unit++) {
          boolean untaught = true;
          for (int row = unit; row < zero.length; row += inside.count) {
            untaught &= zero[row];
          }
          inside.untaught += untaught ? 1 : 0;
        }
      }
    }
  }

  private double[] saliency(double[] gradient, int width) {
    double[] product = new double[gradient.length];
    for (int i = 0; i < product.length; i++) {
      product[i] = gradient[i] * embedded[i];
    }
    return Sums.lengths(product, width, unscale);
  }

  List<Op> tape(OpTimer timer, MemoryWatch memory) {
    List<Op> tape = new ArrayList<>();
    for (Seen seen : ops) {
      Step step = seen.step;
      List<Var> read = step.inputs().stream().filter(Objects::nonNull).toList();
      tape.add(
          new Op(
              step.index(),
              step.part(),
              step.layer(),
              step.name(),
              seen.inputs,
              read.stream()
                  .map(v -> v.origin().parameter())
                  .filter(Objects::nonNull)
                  .map(Parameter::name)
                  .toList(),
              read.stream().map(v -> v.shape().toArray()).toList(),
              step.outputs().stream().map(v -> v.shape().toArray()).toList(),
              step.outputs().getFirst().value().dtype().name(),
              timed(seen.forward, timer.forward(step.index())),
              timed(seen.backward, timer.backward(step.index())),
              memory.ofForward(step.index()),
              seen.gradientNorm));
    }
    return tape;
  }

  private static Cost timed(Cost cost, long nanos) {
    return new Cost(cost.flops(), cost.bytes(), nanos);
  }

  List<AttentionHead> attention() {
    return attention;
  }

  List<StreamPoint> stream() {
    return points.stream()
        .map(p -> new StreamPoint(p.part, p.layer, p.norms, p.gradients, p.lens))
        .toList();
  }

  List<Units> units() {
    return insides.stream().map(i -> new Units(i.layer, i.count, i.silent, i.untaught)).toList();
  }

  /** By token; NaN where the embedding has no gradient. */
  double[] saliency() {
    if (saliency.length > 0) {
      return saliency;
    }
    double[] none = new double[points.getFirst().norms.length];
    Arrays.fill(none, Double.NaN);
    return none;
  }
}
