package dev.javelin.train.optim;

import dev.javelin.tensor.step.StepState;
import java.util.List;

/**
 * A rule that moves a model's weights by their gradient. {@link GradientClip} has measured the
 * gradient before and decided the step; what the rule needs of that stands in {@link StepState}, so
 * that a GPU records one call and replays it for every step.
 *
 * <p>A rule is made once for a {@link dev.javelin.nn.ParameterBuffer}, reads its gradients and
 * writes its weights and, where there are any, its fp32 masters. What it remembers from step to
 * step is its {@link #state}: saving, loading and counting it is {@link OptimizerFile}'s, not the
 * rule's.
 *
 * <p>Not for several threads at once: it is called by the thread that trains.
 */
public interface Optimizer extends AutoCloseable {

  /**
   * Ends a step: the weights move by {@code gradients · }{@link StepState#gradScale}, times the
   * learning rate; a skipped step ({@link StepState#overflow}, the scale is 0) leaves weights and
   * state as they are. The gradients are zero afterwards. Takes no memory and waits for nothing.
   */
  void step(StepState state);

  /** What is kept from step to step, always the same buffers; empty for a rule without memory. */
  List<FlatState> state();

  /** The rules that it consists of: itself, or those of groups of parameters. */
  default List<Optimizer> rules() {
    return List.of(this);
  }

  /** Frees the state. */
  @Override
  default void close() {
    state().forEach(FlatState::close);
  }
}
