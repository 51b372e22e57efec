package dev.javelin.autograd;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Looks on while a tape records a pass and runs it backward: at values, gradients, times and
 * memory. It may read whatever it is shown and changes nothing, so a step has the same bits with
 * and without one; a tape without a probe pays a branch for each function.
 *
 * <pre>{@code
 * Tape tape = new Tape(workspace);
 * Probe.on(tape, new Probe() {
 *   @Override
 *   public void forward(Step step, long nanos) {
 *     System.out.println(step.layer() + " " + step.name() + " " + step.outputs().getFirst().shape());
 *   }
 * });
 * }</pre>
 *
 * <p>Called on the thread of the pass, when the device has done what came before. What is inside a
 * recomputed block is not seen. On a GPU a step that is being recorded is shown, but its values are
 * not there yet.
 */
public interface Probe {
  /** The {@link Step#layer} of what belongs to no layer. */
  int NO_LAYER = -1;

  /**
   * A function on a tape.
   *
   * @param index from 0, in the order of the forward pass
   * @param part of the model, as {@link Tape#part} was told: {@code embedding}, {@code attention},
   *     {@code mlp}, {@code norm}, {@code head}; empty where nobody said
   * @param layer from 0, or {@link #NO_LAYER}
   * @param name of the function: {@code linear}, {@code add_rms_norm}, …
   * @param inputs in the function's order, parameters among them; {@code null} for one it does
   *     without
   * @param outputs alive until its backward pass is over, of a tape that records
   * @param from the first of its {@linkplain dev.javelin.tensor.step.Workspace#requests requests}
   *     of memory
   * @param to one past the last
   */
  record Step(
      int index,
      String part,
      int layer,
      String name,
      List<@Nullable Var> inputs,
      List<Var> outputs,
      int from,
      int to) {}

  /** Has {@code probe} look at {@code tape}, beside those that do already. */
  static void on(Tape tape, Probe probe) {
    tape.watch(probe);
  }

  /**
   * A function has run forward.
   *
   * @param nanos since the function before it
   */
  default void forward(Step step, long nanos) {}

  /** The gradients of a function's outputs, {@link Var#dyOrNull}, are complete. */
  default void gradient(Step step) {}

  /**
   * A function has run backward. Its memory and its outputs' gradients are released after this.
   *
   * @param nanos its own
   */
  default void backward(Step step, long nanos) {}

  /**
   * The residual stream behind a part of a layer is {@code sum + pending}, [B, T, C].
   *
   * @param part {@code embedding}, {@code attention} or {@code mlp}
   * @param layer {@link #NO_LAYER} behind the embedding
   * @param pending {@code null} for nothing
   */
  default void stream(String part, int layer, Var sum, @Nullable Var pending) {}
}
