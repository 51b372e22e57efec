package dev.javelin.train.objective;

import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.data.Batch;
import org.jspecify.annotations.Nullable;

/**
 * What training makes small, and an evaluation measures: a function of a model and a batch.
 *
 * <p>It is called by the thread that trains, and on a GPU only until its work is recorded: it must
 * do the same work on the same memory each time. What differs from step to step stands in batch and
 * state.
 */
@FunctionalInterface
public interface Objective {

  /**
   * The batch's share of the step's loss, the root of backward: {@code Σ losses / N} over its
   * targets that count, N being those of the whole step ({@link StepState#inverseTargets}). It must
   * also be added to the state's loss: {@link dev.javelin.autograd.Losses#stepLoss} and {@link
   * dev.javelin.autograd.Losses#linearCrossEntropy} do both. Rows that do not count (see {@link
   * dev.javelin.train.data.BatchLayout.Field#blank}) must add nothing.
   *
   * @param tape one that records is for training; on one that does not, nothing random happens
   * @return one F32 number
   */
  Var loss(Tape tape, Batch batch, StepState state);

  /**
   * The same with targets drawn from the model's own distribution in place of the batch's, wherever
   * these count: its gradient estimates curvature. {@code null} where there is no such
   * distribution.
   *
   * @see dev.javelin.train.optim.Curvature
   */
  default @Nullable Objective sampled() {
    return null;
  }

  /**
   * Called before each batch, also where the work is replayed and {@link #loss} is not called: for
   * what a pass reads besides parameters, batch and state, such as a table that other users of the
   * model overwrite.
   */
  default void prepare(Batch batch) {}
}
