package dev.javelin.train.optim;

import dev.javelin.device.DType;
import dev.javelin.nn.Trained;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.step.StepState;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Adafactor: a second moment for each row and column of a matrix, for each element of a vector; the
 * formula stands at {@link dev.javelin.tensor.op.Adafactor}.
 *
 * @see <a href="https://arxiv.org/abs/1804.04235">Shazeer and Stern 2018, Adafactor</a>
 */
public final class Adafactor implements Optimizer {
  private final Trained trained;
  private final AdafactorConfig config;
  private final FlatState rows;
  private final FlatState columns;
  private final @Nullable FlatState moment;
  private final dev.javelin.tensor.op.Adafactor op;

  public Adafactor(Trained trained, AdafactorConfig config) {
    this.trained = trained;
    this.config = config;
    this.rows = FlatState.parts("exp_avg_sq_row", trained, DType.F32, p -> Shape.of(rows(p)));
    this.columns =
        FlatState.parts(
            "exp_avg_sq_col", trained, DType.F32, p -> isMatrix(p) ? Shape.of(columns(p)) : null);
    this.moment = config.beta1() == 0 ? null : FlatState.likeWeights("exp_avg", trained);
    this.op =
        new dev.javelin.tensor.op.Adafactor(
            trained.device(),
            trained.parameters().stream().mapToInt(Adafactor::rows).max().orElse(1),
            trained.parameters().stream().mapToInt(Adafactor::columns).max().orElse(1));
  }

  private static boolean isMatrix(Parameter p) {
    return p.shape().rank() >= 2;
  }

  private static int rows(Parameter p) {
    return Math.toIntExact(p.shape().elements() / columns(p));
  }

  private static int columns(Parameter p) {
    return isMatrix(p) ? p.shape().last() : 1;
  }

  @Override
  public void step(StepState state) {
    for (Parameter p : trained.parameters()) {
      op.step(
          ParameterPart.of(trained, p),
          columns(p),
          rows.part(p),
          columns.parts().get(p),
          moment == null ? null : ParameterPart.flat(moment.part(p), 0, p.shape().elements()),
          state,
          config.constants());
    }
  }

  @Override
  public List<FlatState> state() {
    List<FlatState> all = new ArrayList<>(List.of(rows, columns));
    if (moment != null) {
      all.add(moment);
    }
    return all;
  }

  @Override
  public void close() {
    Optimizer.super.close();
    op.close();
  }
}
