package dev.javelin.bench;

import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Init;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Transformer;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.tensor.LossScaling;
import dev.javelin.tensor.StepState;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.Workspace;
import dev.javelin.train.StepGraph;
import dev.javelin.train.optim.AdamWConfig;
import dev.javelin.train.optim.Optimizer;

/**
 * A whole training step in fp32: forward, backward, clipping to norm 1, AdamW; of the four small
 * models by the names that the PyTorch peer has for them.
 */
final class TrainStep implements AutoCloseable {
  private static final int VOCABULARY = 65;

  private final Workspace workspace;
  private final ParameterBuffer<Transformer> buffer;
  private final StepState state;
  private final Optimizer optimizer;
  private final StepGraph graph;
  private final Tensor tokens; // I32 [B, T]
  private final Tensor targets;
  private int steps;

  TrainStep(String model, Operands operands) {
    boolean small = model.endsWith("-cpu");
    int layers = small ? 4 : 6;
    int width = small ? 128 : 384;
    int batch = small ? 12 : 16;
    int length = small ? 64 : 256;
    TransformerConfig config =
        model.startsWith("llama")
            ? TransformerConfig.llama(
                VOCABULARY, layers, layers, layers, width, small ? 352 : 1024, length)
            : TransformerConfig.gpt2(VOCABULARY, layers, layers, width, length);
    Cpu cpu = operands.cpu();
    workspace = Workspace.on(cpu);
    buffer =
        Transformer.allocate(
            cpu, config.withDropout(0), Precision.FP32, Grouping.decayMatrices(0.1f));
    Init.normal(buffer, 0);
    state = StepState.on(cpu);
    optimizer =
        new Optimizer(cpu, buffer, new AdamWConfig(0.9f, 0.95f, 1e-8f, 1), LossScaling.NONE);
    graph = new StepGraph("train", workspace);
    tokens = operands.ids(VOCABULARY, batch, length);
    targets = operands.ids(VOCABULARY, batch, length);
  }

  int tokensPerStep() {
    return (int) tokens.elements();
  }

  void run() {
    state.begin(0, steps++, 3e-4f, 1f / tokensPerStep());
    graph.run(
        () -> {
          Tape tape = new Tape(workspace);
          tape.backward(buffer.model().loss(tape, tokens, targets, state));
        });
    optimizer.step(state);
  }

  @Override
  public void close() {
    optimizer.close();
    state.close();
    buffer.close();
    workspace.close();
  }
}
