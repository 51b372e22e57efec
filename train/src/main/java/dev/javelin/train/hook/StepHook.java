package dev.javelin.train.hook;

import dev.javelin.nn.ParameterBuffer;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.monitor.RunEvent;
import dev.javelin.train.optim.Optimizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.function.Consumer;
import java.util.function.ObjDoubleConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Looks at a step, or changes it, between its parts:
 *
 * <pre>
 * begin → (forward and backward of a micro-batch → accumulated)… → sum over the ranks → gradient
 *       → norm, clip factor, overflow → decided → update → updated → after
 * </pre>
 *
 * <p>It is called on the training thread for every step. Work that it gives to the device comes in
 * the order of the step's own; to read a value back waits for the device, so a hook should do that
 * where it must. A training without hooks is recorded on a GPU as one graph, one with hooks as
 * three.
 */
public interface StepHook extends Stateful, AutoCloseable {

  /** Makes a hook for a training; the trainer closes it. */
  @FunctionalInterface
  interface Maker {
    StepHook on(ParameterBuffer<?> parameters, Optimizer optimizer);
  }

  /**
   * A step begins.
   *
   * @param step steps done so far
   * @param place of its first row
   * @param rows that it reads, over all micro-batches and ranks
   */
  default void begin(long step, long place, int rows) {}

  /** The gradients hold the sum of this rank's micro-batches 0 to {@code micro}. */
  default void accumulated(int micro, StepState state) {}

  /** The gradients hold the sum over micro-batches and ranks, scaled by the loss scale. */
  default void gradient(StepState state) {}

  /** Norm, clip factor and overflow are decided; {@link StepState#skip} leaves the step out. */
  default void decided(StepState state) {}

  /** The weights have moved, unless the step was left out; the gradients are zero. */
  default void updated(StepState state) {}

  /**
   * The step is over: what comes next.
   *
   * @param step steps done, this one included
   */
  default After after(long step) {
    return After.GO_ON;
  }

  /** What happened in the step that is over, for the log; asked after every step. */
  default void events(Consumer<RunEvent> out) {}

  /** Numbers for the log, by key; asked on steps that are logged. */
  default void measure(ObjDoubleConsumer<String> out) {}

  /** Puts other weights in place for a second evaluation; {@code null} where it has none. */
  default @Nullable StandIn standIn() {
    return null;
  }

  /** Writes files of its own into a checkpoint. */
  default void write(Path directory) throws IOException {}

  /** Reads them again: the training goes on from this checkpoint, resumed or rolled back. */
  default void read(Path directory) {}

  @Override
  default void close() {}
}
