package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Pass;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Transformer;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.family.Llama;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.StepGraph;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;

/**
 * What the forward and the backward pass leave on the heap beside their loops: nodes of the tape,
 * tensors, views, arguments of operators. {@link SteadyStateTest} counts all of a step.
 */
class StepGarbageTest {
  private static final int STEPS = 4;
  private static final int LAYERS = 8;

  /**
   * Measured: 30,338 with nothing compiled, 256-bit vectors. A compiler only makes it less.
   *
   * <p>A rehearsal is counted, whose loops end before they have made a vector: how many of those
   * live on the heap differs from run to run.
   */
  private static final long BYTES_A_LAYER = 40 << 10;

  @Test
  @DisabledIfSystemProperty(
      named = "javelin.debug",
      matches = "true",
      disabledReason = "every request keeps its stack trace")
  void aLayerLeavesLittleOnTheHeapAndNothingBesideIt() {
    assertThat((garbage(1 + LAYERS) - garbage(1)) / LAYERS).isBetween(1L, BYTES_A_LAYER);
  }

  private static long garbage(int layers) {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    TransformerConfig config =
        Llama.config(TinyModels.VOCAB, layers, 4, 2, 32, 48, TinyModels.SEQ_LEN);
    try (Cpu cpu = Cpu.rehearsal(1);
        Workspace workspace = Workspace.on(cpu);
        ParameterBuffer<Transformer> buffer =
            Transformer.allocate(cpu, config, Precision.FP32, Grouping.decayMatrices(0.1f));
        StepState state = StepState.on(cpu);
        Workspace ids = Workspace.on(cpu);
        StepGraph graph = new StepGraph("step", workspace)) {
      Tensor tokens = ids.alloc(DType.I32, Shape.of(4, TinyModels.SEQ_LEN));
      Tensor targets = ids.alloc(DType.I32, Shape.of(4, TinyModels.SEQ_LEN));
      Runnable step =
          () -> {
            Tape tape = new Tape(workspace);
            Transformer model = buffer.model();
            tape.backward(
                Losses.linearCrossEntropy(
                    model.hidden(tape, tokens, Pass.training(state)),
                    model.headWeight(tape),
                    targets,
                    LossOptions.PLAIN,
                    state));
          };
      graph.run(step); // loads classes and takes memory
      graph.run(step);
      long blocks = cpu.allocations();
      long before = threads.getCurrentThreadAllocatedBytes();
      for (int i = 0; i < STEPS; i++) {
        graph.run(step);
      }
      long after = threads.getCurrentThreadAllocatedBytes();
      assertThat(cpu.allocations()).as("blocks off the heap").isEqualTo(blocks);
      return (after - before) / STEPS;
    }
  }
}
