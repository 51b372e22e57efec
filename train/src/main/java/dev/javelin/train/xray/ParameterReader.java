package dev.javelin.train.xray;

import dev.javelin.autograd.Probe;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Tensor;
import dev.javelin.train.optim.FlatState;
import dev.javelin.train.optim.Optimizer;
import dev.javelin.train.xray.Xray.ParameterFacts;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Reads what the parameters are around an update: made before it, asked after it. */
final class ParameterReader {
  private static final Pattern LAYER = Pattern.compile("(?:^|\\.)(?:blocks|layers)\\.(\\d+)\\.");

  private final XrayStep.Running run;
  private final List<Before> all = new ArrayList<>();

  /**
   * A parameter before the update.
   *
   * @param weights Σ W²
   * @param gradients Σ g²; NaN where it is frozen
   */
  private record Before(
      Parameter parameter, ParameterBuffer<?> buffer, double weights, double gradients) {}

  /**
   * @param lossScale of the gradients
   */
  ParameterReader(Examined model, XrayStep.Running run, double lossScale) {
    this.run = run;
    read(model.parameters(), lossScale);
    if (model.trained() != model.parameters()) {
      read(model.trained(), lossScale);
    }
  }

  private void read(ParameterBuffer<?> buffer, double lossScale) {
    for (Parameter p : buffer.named().values()) {
      Tensor g = p.grad();
      all.add(
          new Before(
              p,
              buffer,
              p.quantized() == null
                  ? Sums.squares(buffer.precise(p))
                  : Sums.squares(p.quantized().toFloats()),
              g == null ? Double.NaN : Sums.squares(g) / (lossScale * lossScale)));
    }
  }

  /**
   * All facts, once the weights have moved.
   *
   * @param before the weights before that
   */
  List<ParameterFacts> after(Snapshot before) {
    return all.stream().map(p -> of(p, before)).toList();
  }

  private ParameterFacts of(Before was, Snapshot before) {
    Parameter p = was.parameter;
    double n = p.shape().elements();
    boolean frozen = p.grad() == null;
    double w = was.weights;
    double g = was.gradients;
    double moved = Double.NaN;
    if (!frozen) {
      Tensor now = was.buffer.precise(p);
      moved = Sums.squaresOfDifference(now, before.before(now));
    }
    Tensor m = moment("exp_avg", p);
    Tensor v = moment("exp_avg_sq", p);
    return new ParameterFacts(
        p.name(),
        layer(p.name()),
        p.shape().toArray(),
        p.shape().elements(),
        frozen,
        Math.sqrt(w),
        Math.sqrt(w / n),
        Math.sqrt(g),
        Math.sqrt(g / n),
        Math.sqrt(moved / n),
        w == 0 ? Double.NaN : Math.sqrt(moved / w),
        m == null ? Double.NaN : Math.sqrt(Sums.squares(m) / n),
        v == null ? Double.NaN : Math.sqrt(Sums.sum(v) / n),
        p.group().name(),
        frozen ? 0 : run.learningRate() * p.group().lrScale(),
        p.group().weightDecay());
  }

  /** What the optimizer keeps under that name, an element for each weight. */
  private @Nullable Tensor moment(String name, Parameter p) {
    for (Optimizer rule : run.optimizer().rules()) {
      for (FlatState state : rule.state()) {
        if (state.name().equals(name)
            && state.layout() == FlatState.Layout.LIKE_WEIGHTS
            && state.parts().containsKey(p)) {
          return state.part(p);
        }
      }
    }
    return null;
  }

  static int layer(String name) {
    Matcher m = LAYER.matcher(name);
    return m.find() ? Integer.parseInt(m.group(1)) : Probe.NO_LAYER;
  }
}
