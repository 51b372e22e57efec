package dev.javelin.train.optim;

import dev.javelin.device.DType;
import dev.javelin.nn.Trained;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import java.util.List;

/** Parameters one by one, for rules that look at whole matrices. */
final class ParameterPart {
  private ParameterPart() {}

  /** A parameter with its gradient, as one segment. */
  static FlatWeights of(Trained trained, Parameter p) {
    return of(trained, p, 0, p.shape().elements());
  }

  /** Elements {@code [from, to)} of it. */
  static FlatWeights of(Trained trained, Parameter p, long from, long to) {
    Tensor precise = trained.buffer().precise(p);
    Tensor weights = flat(p.value(), from, to);
    return new FlatWeights(
        weights,
        precise == p.value() ? null : flat(precise, from, to),
        flat(trained.buffer().part(trained.buffer().gradients(), p), from, to),
        List.of(new Segment(0, to - from, p.group().lrScale(), p.group().weightDecay())),
        trained.buffer().flats().getFirst().update());
  }

  /** Elements {@code [from, to)} of a contiguous tensor. */
  static Tensor flat(Tensor t, long from, long to) {
    DType type = t.dtype();
    return Tensor.of(
        t.memory(), t.offset() + type.bytes(from), type, Shape.of(Math.toIntExact(to - from)));
  }
}
