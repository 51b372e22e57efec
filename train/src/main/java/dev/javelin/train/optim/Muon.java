package dev.javelin.train.optim;

import dev.javelin.device.DType;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Trained;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepState;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.Predicate;

/**
 * Muon for the matrices of a model's blocks, AdamW for embeddings, head, norms and biases; the
 * formula stands at {@link dev.javelin.tensor.op.Muon}. Matrices that are packed here but separate
 * in files, such as queries, keys and values, are orthogonalised one by one.
 *
 * @see <a href="https://kellerjordan.github.io/posts/muon">Jordan et al. 2024, Muon</a>
 * @see <a href="https://arxiv.org/abs/2502.16982">Liu et al. 2025, Muon is scalable</a>
 */
public final class Muon implements Optimizer, EpsilonScale.Scaled {
  private final Trained trained;
  private final MuonConfig config;
  private final List<Matrix> matrices;
  private final List<Parameter> rest;
  private final FlatState momentum;
  private final FlatState moment1;
  private final FlatState moment2;
  private final EpsilonScale epsilonScale;
  private final dev.javelin.tensor.op.Muon op;

  /** Rows {@code [from, to)} of a parameter, which are a matrix in files. */
  private record Matrix(Parameter parameter, int from, int to) {
    int rows() {
      return to - from;
    }

    int columns() {
      return parameter.shape().last();
    }

    long start() {
      return (long) from * columns();
    }

    long end() {
      return (long) to * columns();
    }
  }

  public Muon(Trained trained, MuonConfig config) {
    this(trained, config, Muon::isHidden);
  }

  /**
   * @param isMatrix which parameters Muon moves, of those with two dimensions
   */
  public Muon(Trained trained, MuonConfig config, Predicate<Parameter> isMatrix) {
    this.trained = trained;
    this.config = config;
    Predicate<Parameter> ours = p -> p.shape().rank() == 2 && isMatrix.test(p);
    List<Parameter> all = trained.parameters();
    this.matrices =
        all.stream().filter(ours).flatMap(p -> split(trained.buffer(), p).stream()).toList();
    this.rest = all.stream().filter(ours.negate()).toList();
    this.momentum =
        FlatState.parts("momentum", trained, DType.F32, p -> ours.test(p) ? p.shape() : null);
    this.moment1 = restState("exp_avg", ours);
    this.moment2 = restState("exp_avg_sq", ours);
    this.epsilonScale = new EpsilonScale(trained.device());
    this.op =
        new dev.javelin.tensor.op.Muon(
            trained.device(),
            matrices.stream().mapToLong(m -> m.end() - m.start()).max().orElse(0),
            matrices.stream().mapToInt(m -> Math.min(m.rows(), m.columns())).max().orElse(0));
  }

  private FlatState restState(String name, Predicate<Parameter> ours) {
    return FlatState.parts(name, trained, DType.F32, p -> ours.test(p) ? null : p.shape());
  }

  /** Whether it is a parameter of one of the blocks between embedding and head. */
  static boolean isHidden(Parameter p) {
    return ".".concat(p.name()).contains(".blocks.");
  }

  private static List<Matrix> split(ParameterBuffer<?> parameters, Parameter p) {
    List<Matrix> parts = new ArrayList<>();
    for (NameTable.Place place : NameTable.of(parameters).places().values()) {
      if (place.parameter().equals(p.name())) {
        parts.add(new Matrix(p, place.fromRow(), place.fromRow() + place.rows()));
      }
    }
    parts.sort(Comparator.comparingInt(Matrix::from));
    int end = 0;
    for (Matrix part : parts) {
      if (part.from() != end) {
        return List.of(new Matrix(p, 0, p.shape().dim(0)));
      }
      end = part.to();
    }
    return end == p.shape().dim(0) ? parts : List.of(new Matrix(p, 0, p.shape().dim(0)));
  }

  @Override
  public void step(StepState state) {
    var how =
        new dev.javelin.tensor.op.Muon.Momentum(
            config.momentum(), config.average() ? 1 - config.momentum() : 1, config.nesterov());
    for (Matrix m : matrices) {
      Parameter p = m.parameter;
      op.step(
          ParameterPart.of(trained, p, m.start(), m.end()),
          m.rows(),
          m.columns(),
          ParameterPart.flat(momentum.part(p), m.start(), m.end()),
          state,
          how,
          config.factor(m.rows(), m.columns()));
    }
    AdamWConfig c = config.rest();
    for (Parameter p : rest) {
      Tensor m = flat(moment1, p);
      Tensor v = flat(moment2, p);
      dev.javelin.tensor.op.AdamW.step(
          ParameterPart.of(trained, p),
          m,
          v,
          state,
          c.beta1(),
          c.beta2(),
          c.epsilon(),
          epsilonScale.tensor());
    }
  }

  private static Tensor flat(FlatState state, Parameter p) {
    Tensor part = state.part(p);
    return part.reshape(Shape.of(Math.toIntExact(part.elements())));
  }

  @Override
  public EpsilonScale epsilonScale() {
    return epsilonScale;
  }

  @Override
  public List<FlatState> state() {
    return List.of(momentum, moment1, moment2);
  }

  @Override
  public void close() {
    Optimizer.super.close();
    op.close();
    epsilonScale.close();
  }
}
