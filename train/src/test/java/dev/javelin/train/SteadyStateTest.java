package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.javelin.device.Cpu;
import dev.javelin.nn.Precision;
import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.settings.RunSettings;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;

/** Runs in a Java machine of its own, as a training does: what ran before is compiled in. */
class SteadyStateTest {
  /**
   * Vectors live on the heap until the compiler has seen the loops: it is given time for that. Then
   * five windows in a row must be quiet: what allocates now and then is found as what always does.
   */
  @Test
  void theSteadyStateTakesNoMemory() throws IOException {
    int window = 20;
    long bound = 256 * 1024;
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    RunSettings config = TinyModels.settings(4000).withRun(r -> r.withLoggingSteps(1000));
    int inARow = 5;
    long[] at = new long[3]; // garbage and off-heap blocks when the window began, quiet windows
    try (Cpu cpu = Cpu.open(2);
        LanguageModel model = TinyModels.model(cpu, TinyModels.llama(), Precision.FP32);
        Trainer trainer = TextTraining.of(model, TinyModels.data(500), config).trainer()) {
      Watcher meter =
          new Watcher() {
            @Override
            public void advanced(long step) {
              if (step % window == 0) {
                long garbage = threads.getTotalThreadAllocatedBytes();
                if (step > window) {
                  assertThat(cpu.allocations()).isEqualTo(at[1]);
                  at[2] = (garbage - at[0]) / window < bound ? at[2] + 1 : 0;
                  if (at[2] == inARow) {
                    trainer.requestStop();
                  }
                }
                at[0] = threads.getTotalThreadAllocatedBytes();
                at[1] = cpu.allocations();
              }
            }
          };
      trainer.watch(meter).run();
    }
    assertThat(at[2])
        .as("windows of less than " + bound + " bytes of garbage a step")
        .isEqualTo(inARow);
  }
}
