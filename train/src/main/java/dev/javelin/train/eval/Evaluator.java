package dev.javelin.train.eval;

import dev.javelin.autograd.Tape;
import dev.javelin.device.Turn;
import dev.javelin.tensor.step.StepGraph;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.data.Batch;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.Batches;
import dev.javelin.train.data.Fields;
import dev.javelin.train.objective.Objective;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.function.LongConsumer;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * The mean loss of an objective over held-out rows, the last batch filled up with rows that do not
 * count. Nothing is random; the model is not changed. The sum of the losses stays on the device to
 * the end, so that a GPU goes through all batches without a stop.
 *
 * <p>Not for several threads at once, and not beside other work in its workspace.
 */
public final class Evaluator implements AutoCloseable {
  private final Objective objective;
  private final Workspace workspace;
  private final BatchSource source;
  private final @Nullable ToLongFunction<Fields> textBytes;
  private final StepState state;
  private final Batches batches;
  private final long count;
  private final List<StepGraph> graphs = new ArrayList<>();
  private final List<Runnable> forwards = new ArrayList<>();

  /**
   * @param source rows to evaluate, as many as its size
   * @param rows of a batch
   * @param maxBatches how many batches to take at most; 0 for all
   * @param textBytes bytes of text that a batch's targets stand for, such as {@link TextBytes};
   *     {@code null} where they stand for none
   * @throws IllegalArgumentException for a source without end and no bound
   */
  public Evaluator(
      Objective objective,
      Workspace workspace,
      BatchSource source,
      int rows,
      long maxBatches,
      @Nullable ToLongFunction<Fields> textBytes) {
    if (source.size() == Long.MAX_VALUE && maxBatches == 0) {
      throw new IllegalArgumentException(
          "an evaluation needs rows that end, such as BatchSource.once, or a number of batches");
    }
    this.objective = objective;
    this.workspace = workspace;
    this.source = source;
    this.textBytes = textBytes;
    this.batches = Batches.on(workspace.device(), source, rows);
    long all = Math.ceilDiv(source.size(), rows);
    this.count = maxBatches == 0 ? all : Math.min(maxBatches, all);
    this.state = StepState.on(workspace.device());
    for (Batch batch : batches.all()) {
      graphs.add(new StepGraph("evaluation", workspace));
      forwards.add(() -> objective.loss(Tape.inference(workspace), batch, state));
    }
  }

  /** Goes once through a batch of each width, for a device that only counts its memory. */
  public void rehearse() {
    for (int width = 0; width < forwards.size(); width++) {
      try (Turn _ = workspace.device().turn()) {
        objective.prepare(batches.all().get(width));
        graphs.get(width).run(forwards.get(width));
      }
    }
  }

  /** How many batches {@link #run} goes through. */
  public long batches() {
    return count;
  }

  public Evaluation run() {
    return run(done -> {});
  }

  /**
   * @param progress is told after each batch how many are done (on a GPU: given to it)
   */
  public Evaluation run(LongConsumer progress) {
    Evaluation evaluation = run(progress, () -> false);
    if (evaluation == null) {
      throw new AssertionError("nothing stopped the evaluation");
    }
    return evaluation;
  }

  /**
   * @param stop asked before each batch whether to give up
   * @return {@code null} where it was given up
   */
  public @Nullable Evaluation run(LongConsumer progress, BooleanSupplier stop) {
    long counted = 0;
    long bytes = 0;
    state.begin(0, 0, 0, 1); // weight 1: the state's loss is the sum
    for (long i = 0; i < count; i++) {
      if (stop.getAsBoolean()) {
        return null;
      }
      long first = i * batches.rows();
      int width = batches.load(first);
      Batch batch = batches.all().get(width);
      bytes += textBytes == null ? 0 : textBytes.applyAsLong(batch.host());
      counted += source.targets(first, batches.rows());
      try (Turn _ = workspace.device().turn()) { // see TrainingStep
        objective.prepare(batch);
        graphs.get(width).run(forwards.get(width));
      }
      progress.accept(i + 1);
    }
    double sum = state.loss();
    workspace.reset();
    double loss = sum / counted;
    Double bitsPerByte = bytes == 0 ? null : sum / Math.log(2) / bytes;
    return new Evaluation(loss, bitsPerByte, counted);
  }

  @Override
  public void close() {
    graphs.forEach(StepGraph::close);
    state.close();
    batches.close();
  }
}
