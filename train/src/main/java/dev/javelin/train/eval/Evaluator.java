package dev.javelin.train.eval;

import dev.javelin.autograd.Tape;
import dev.javelin.device.Device;
import dev.javelin.nn.Transformer;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.StepGraph;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.data.Batch;
import dev.javelin.train.data.EvalLoader;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.data.Windows;
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
  private final EvalLoader loader;
  private final @Nullable Tokenizer tokenizer;
  private final StepState state;
  private final Batch batch;
  private final long batches;
  private final StepGraph graph;
  private final Runnable forward;

  /**
   * @param maxBatches how many batches to take at most; 0 for all
   */
  public Evaluator(
      Device device,
      Transformer model,
      Workspace workspace,
      TokenSource source,
      int seqLen,
      int rows,
      long maxBatches,
      @Nullable Tokenizer tokenizer) {
    this.model = model;
    this.workspace = workspace;
    this.loader = new EvalLoader(new Windows(source, seqLen, model.config().vocab()), rows);
    this.tokenizer = tokenizer;
    this.batches = maxBatches == 0 ? loader.batches() : Math.min(maxBatches, loader.batches());
    this.state = StepState.on(device);
    this.batch = Batch.on(device, rows, seqLen);
    this.graph = new StepGraph("evaluation", workspace);
    this.forward =
        () -> model.loss(Tape.inference(workspace), batch.tokens(), batch.targets(), state);
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
    model.prepare(batch.tokens().dim(1));
    long counted = 0;
    long textBytes = 0;
    state.begin(0, 0, 0, 1); // weight 1: the state's loss is the sum
    for (long i = 0; i < batches; i++) {
      long index = i;
      batch.load((tokens, targets) -> loader.fill(index, tokens, targets));
      textBytes += textBytes();
      counted += loader.validTargets(i);
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
    Tensor targets = batch.hostTargets();
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
