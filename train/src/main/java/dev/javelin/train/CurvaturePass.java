package dev.javelin.train;

import dev.javelin.autograd.Tape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Fill;
import dev.javelin.tensor.step.StepGraph;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.data.Batch;
import dev.javelin.train.data.InputException;
import dev.javelin.train.objective.Objective;
import dev.javelin.train.optim.Curvature;
import dev.javelin.train.optim.Optimizer;
import dev.javelin.train.ranks.Communicator;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a rule that estimates curvature has before some of its steps: the step's rows forward and
 * backward with targets drawn from the model's own distribution, all micro-batches and ranks, and
 * the gradient of that.
 */
final class CurvaturePass implements AutoCloseable {
  private final List<Curvature> rules;
  private final List<StepGraph> passes = new ArrayList<>();
  private final List<Runnable> works = new ArrayList<>();
  private final StepGraph take;
  private final Runnable taking;

  private CurvaturePass(
      List<Curvature> rules,
      Objective sampled,
      List<Batch> batches,
      Tensor gradients,
      StepState state,
      Workspace workspace,
      Communicator ranks,
      boolean recorded) {
    this.rules = rules;
    for (Batch batch : batches) {
      works.add(
          () -> {
            Tape tape = new Tape(workspace);
            tape.backward(sampled.loss(tape, batch, state));
          });
      passes.add(new StepGraph("curvature", workspace, recorded));
    }
    this.take = new StepGraph("estimate", workspace, recorded);
    this.taking =
        () -> {
          ranks.allReduce(gradients);
          rules.forEach(rule -> rule.estimate(state));
          Fill.zero(gradients); // of the parameters that other rules move
        };
  }

  /** The rules that want an estimate. */
  private static List<Curvature> rules(Optimizer optimizer) {
    List<Curvature> rules = new ArrayList<>();
    for (Optimizer rule : optimizer.rules()) {
      if (rule instanceof Curvature curvature) {
        rules.add(curvature);
      }
    }
    return rules;
  }

  /**
   * Does nothing where objective and optimizer go together.
   *
   * @throws InputException where the objective cannot draw the targets that the optimizer wants
   */
  static void check(Objective objective, Optimizer optimizer) {
    if (!rules(optimizer).isEmpty() && objective.sampled() == null) {
      throw new InputException(
          "--optimizer sophia draws targets from the model, which it can for --objective next-token only: choose another rule");
    }
  }

  /** That of an optimizer which {@link #check} has let pass; {@code null} where it wants none. */
  static @Nullable CurvaturePass of(
      Training t,
      Optimizer optimizer,
      List<Batch> batches,
      StepState state,
      Workspace workspace,
      boolean recorded) {
    List<Curvature> rules = rules(optimizer);
    Objective sampled = t.objective.sampled();
    return rules.isEmpty() || sampled == null
        ? null
        : new CurvaturePass(
            rules, sampled, batches, t.parameters.gradients(), state, workspace, t.ranks, recorded);
  }

  /** Whether a step begins with it. */
  boolean isDue(long step) {
    return rules.stream().anyMatch(rule -> rule.wantsEstimate(step));
  }

  /** A micro-batch, which is loaded. */
  void pass(int width) {
    passes.get(width).run(works.get(width));
  }

  /** The rules take the sum. */
  void take() {
    take.run(taking);
  }

  @Override
  public void close() {
    passes.forEach(StepGraph::close);
    take.close();
  }
}
