package dev.javelin.bench;

import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Init;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Pass;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Transformer;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.StepGraph;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.optim.AdamW;
import dev.javelin.train.optim.AdamWConfig;
import dev.javelin.train.optim.GradientClip;
import dev.javelin.train.optim.Optimizer;
import java.util.function.Consumer;

/**
 * A whole training step as the trainer does it: forward, backward, clipping to norm 1, AdamW; on a
 * GPU one graph once two steps have gone kernel by kernel.
 */
final class TrainStep implements AutoCloseable {
  /** On a GPU the workspace grows by such pieces, since others want memory of it too. */
  private static final long GPU_SLAB_BYTES = 1L << 30;

  private final Workspace workspace;
  private final ParameterBuffer<Transformer> buffer;
  private final StepState state;
  private final Optimizer optimizer;
  private final StepGraph graph;
  private final Tensor tokens; // I32 [B, T]
  private final Tensor targets;
  private final Runnable step;
  private Consumer<Tape> watcher = tape -> {};
  private int steps;

  /**
   * @param name see {@link ModelCase}
   */
  TrainStep(String name, Operands operands) {
    this(ModelCase.parse(name), operands);
  }

  TrainStep(ModelCase c, Operands operands) {
    Device device = operands.device();
    Precision precision = precision(operands.type());
    workspace =
        switch (device) {
          case Cpu cpu -> Workspace.on(cpu);
          case Cuda cuda when cuda.properties().emulated() -> Workspace.on(cuda);
          case Cuda cuda -> Workspace.on(cuda, GPU_SLAB_BYTES);
        };
    buffer =
        Transformer.allocate(
            device, c.config().withDropout(0), precision, Grouping.decayMatrices(0.1f));
    Init.normal(buffer, 0);
    state = StepState.on(device);
    state.restore(new StepState.Carried(precision.lossScaling().initialScale(), 0, 0, 0));
    GradientClip clip = GradientClip.byNorm(1, precision.lossScaling());
    optimizer = new AdamW(buffer, new AdamWConfig(0.9f, 0.95f, 1e-8f));
    graph = new StepGraph("step", workspace);
    tokens = operands.ids(c.model().vocabulary(), c.batch(), c.length());
    targets = operands.ids(c.model().vocabulary(), c.batch(), c.length());
    step =
        () -> {
          Tape tape = new Tape(workspace);
          watcher.accept(tape);
          Transformer model = buffer.model();
          tape.backward(
              Losses.linearCrossEntropy(
                  model.hidden(tape, tokens, Pass.training(state)),
                  model.headWeight(tape),
                  targets,
                  LossOptions.PLAIN,
                  state));
          clip.run(state, buffer.gradients());
          optimizer.step(state);
        };
  }

  private static Precision precision(DType type) {
    return switch (type) {
      case F32 -> Precision.FP32;
      case BF16 -> Precision.BF16;
      case F16 -> Precision.FP16;
      case I32, I64, U8 -> throw new IllegalArgumentException("not a float type: " + type);
    };
  }

  void run() {
    state.begin(0, steps++, 3e-4f, 1f / tokens.elements());
    graph.run(step);
  }

  /** Shows the tape of each step from now on, before its forward pass. */
  void watch(Consumer<Tape> watcher) {
    this.watcher = watcher;
  }

  Transformer model() {
    return buffer.model();
  }

  /** Weights of the model. */
  long parameters() {
    return buffer.size();
  }

  /** Of the last step; waits for a GPU. */
  double loss() {
    return state.loss();
  }

  @Override
  public void close() {
    graph.close();
    optimizer.close();
    state.close();
    buffer.close();
    workspace.close();
  }
}
