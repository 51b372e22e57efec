package dev.javelin.train;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.RequiresEmulator;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Fill;
import dev.javelin.tensor.step.StepGraph;
import dev.javelin.tensor.step.Workspace;
import org.junit.jupiter.api.Test;

class StepGraphTest {

  private static Cuda open() {
    return TestCuda.open(new BundledKernels());
  }

  /** What a step does here: takes memory, works in it, and moves what memory says by one place. */
  private static void shift(Cuda cuda, Workspace ws, DeviceMemory m) {
    Tensor t = ws.alloc(DType.F32, Shape.of(3));
    Fill.constant(t, 1f);
    cuda.copy(m, 4, m, 0, 4);
    cuda.copy(m, 0, t.memory(), t.offset(), 4);
  }

  @Test
  @RequiresCuda
  void runsTwiceIsRecordedThenReplayed() {
    try (Cuda cuda = open();
        Workspace ws = Workspace.on(cuda, 1 << 16);
        DeviceMemory m = cuda.allocate(8);
        StepGraph graph = new StepGraph("step", ws)) {
      int[] executed = {0};
      for (int run = 1; run <= 6; run++) {
        cuda.fill(m, 0, 8, 0);
        cuda.fillWords(m, 0, 1, Float.floatToRawIntBits(run)); // differs from run to run
        graph.run(
            () -> {
              executed[0]++;
              shift(cuda, ws, m);
            });
        assertThat(Tensor.of(m, 0, DType.F32, Shape.of(2)).toHost().toArray(JAVA_FLOAT))
            .containsExactly(1, run);
        assertThat(graph.isRecorded()).isEqualTo(run > 2);
      }
      assertThat(executed[0]).as("runs of the body: two, and the recording").isEqualTo(3);
    }
  }

  @Test
  @RequiresEmulator
  void aReplayIsOneCallOfTheDriverAndNoneWaits() {
    try (Cuda cuda = open();
        Workspace ws = Workspace.on(cuda, 1 << 16);
        DeviceMemory m = cuda.allocate(8);
        StepGraph graph = new StepGraph("step", ws)) {
      for (int run = 0; run < 4; run++) {
        graph.run(() -> shift(cuda, ws, m));
      }
      long calls = TestCuda.calls("cu");
      for (int run = 0; run < 10; run++) {
        graph.run(() -> shift(cuda, ws, m));
      }
      assertThat(TestCuda.calls("cu") - calls).isEqualTo(10);
    }
  }

  @Test
  @RequiresCuda
  void aStepThatWaitsCannotBeRecorded() {
    try (Cuda cuda = open();
        Workspace ws = Workspace.on(cuda, 1 << 16);
        StepGraph graph = new StepGraph("step", ws)) {
      Runnable reads = () -> ws.alloc(DType.F32, Shape.of(1)).toHost();
      graph.run(reads);
      graph.run(reads);
      assertThatThrownBy(() -> graph.run(reads))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("reading device memory is not possible while a step is recorded");
    }
  }

  @Test
  void aSecondRunThatAsksForOtherMemoryIsRefusedWithTheFirstDifference() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu, 1 << 20);
        StepGraph graph = new StepGraph("micro-step", ws)) {
      int[] run = {0};
      Runnable growing =
          () -> {
            ws.alloc(DType.F32, Shape.of(100), "norm");
            ws.alloc(DType.F32, Shape.of(100 * ++run[0]), "mlp");
          };
      graph.run(growing);
      assertThatThrownBy(() -> graph.run(growing))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("micro-step: run 2 asked for other memory")
          .hasMessageContaining("request 1 was Request[owner=mlp")
          .hasMessageContaining("bytes=512")
          .hasMessageContaining("bytes=1024");
    }
  }
}
