package dev.javelin.train.eval;

import dev.javelin.autograd.Tape;
import dev.javelin.nn.Transformer;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepGraph;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.data.Batch;
import dev.javelin.train.data.BatchLayout;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.tokenizer.Tokenizer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The mean loss over held-out tokens: all whole windows of length T, stride T, the last batch
 * filled up with rows that do not count. Without dropout; the model is not changed. The sum of the
 * losses stays on the device to the end, so that a GPU goes through all batches without a stop.
 */
public final class Evaluator implements AutoCloseable {
  private final Transformer model;
  private final Workspace workspace;
  private final BatchSource source;
  private final @Nullable Tokenizer tokenizer;
  private final StepState state;
  private final Batch batch;
  private final long batches;
  private final StepGraph graph;
  private final Runnable forward;

  /**
   * @param source rows to evaluate, as many as its size
   * @param rows of a batch
   * @param maxBatches how many batches to take at most; 0 for all
   */
  public Evaluator(
      Transformer model,
      Workspace workspace,
      BatchSource source,
      int rows,
      long maxBatches,
      @Nullable Tokenizer tokenizer) {
    this.model = model;
    this.workspace = workspace;
    this.source = source;
    this.tokenizer = tokenizer;
    this.batch = Batch.on(workspace.device(), source.layout(), rows);
    long all = Math.ceilDiv(source.size(), rows);
    this.batches = maxBatches == 0 ? all : Math.min(maxBatches, all);
    this.state = StepState.on(workspace.device());
    this.graph = new StepGraph("evaluation", workspace);
    this.forward =
        () ->
            model.loss(
                Tape.inference(workspace),
                batch.get(BatchLayout.TOKENS),
                batch.get(BatchLayout.TARGETS),
                state);
  }

  /** How many batches {@link #run} goes through. */
  public long batches() {
    return batches;
  }

  public Evaluation run() {
    return run(done -> {});
  }

  /**
   * @param progress is told after each batch how many are done (on a GPU: given to it)
   */
  public Evaluation run(LongConsumer progress) {
    model.prepare(batch.get(BatchLayout.TOKENS).dim(1));
    long counted = 0;
    long textBytes = 0;
    state.begin(0, 0, 0, 1); // weight 1: the state's loss is the sum
    for (long i = 0; i < batches; i++) {
      long first = i * batch.rows();
      batch.load(fields -> source.fill(first, batch.rows(), fields));
      textBytes += textBytes();
      counted += source.targets(first, batch.rows());
      graph.run(forward);
      progress.accept(i + 1);
    }
    double sum = state.loss();
    workspace.reset();
    double loss = sum / counted;
    Double bitsPerByte = tokenizer == null || textBytes == 0 ? null : sum / Math.log(2) / textBytes;
    return new Evaluation(loss, bitsPerByte, counted);
  }

  /** Bytes of text the targets of the batch stand for. */
  private long textBytes() {
    if (tokenizer == null) {
      return 0;
    }
    Tensor targets = batch.host().get(BatchLayout.TARGETS);
    MemorySegment ids = targets.segment();
    long bytes = 0;
    for (long i = 0; i < targets.elements(); i++) {
      int id = ids.getAtIndex(ValueLayout.JAVA_INT, i);
      bytes += id >= 0 && id < tokenizer.vocabSize() ? tokenizer.byteLength(id) : 0;
    }
    return bytes;
  }

  @Override
  public void close() {
    graph.close();
    state.close();
    batch.close();
  }
}
