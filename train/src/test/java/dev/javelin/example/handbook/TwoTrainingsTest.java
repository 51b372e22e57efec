package dev.javelin.example.handbook;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Cpu;
import dev.javelin.example.handbook.TwoTrainings.Weights;
import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.run.RunDirectory;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CyclicBarrier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Two trainings of the handbook have the bits of each alone. */
class TwoTrainingsTest {
  private static final int STEPS = 6;

  @TempDir Path dir;

  private static float[] alone(long seed) throws IOException {
    try (Cpu cpu = Cpu.open(1)) {
      return TwoTrainings.train(cpu, seed, STEPS, new Watcher() {});
    }
  }

  /** Neither begins a step before the other has ended the one before. */
  private static Watcher inStep() {
    CyclicBarrier both = new CyclicBarrier(2);
    return new Watcher() {
      @Override
      public void advanced(long step) {
        try {
          both.await();
        } catch (InterruptedException | BrokenBarrierException e) {
          throw new IllegalStateException(e);
        }
      }
    };
  }

  @Test
  void theyHaveTheBitsOfEachAlone() throws Exception {
    float[] first = alone(1);
    float[] second = alone(2);
    assertThat(second).isNotEqualTo(first);
    Weights apart = TwoTrainings.apart(2, STEPS, inStep());
    assertThat(apart.first()).isEqualTo(first);
    assertThat(apart.second()).isEqualTo(second);
    Weights sharing = TwoTrainings.sharing(3, STEPS, inStep());
    assertThat(sharing.first()).isEqualTo(first);
    assertThat(sharing.second()).isEqualTo(second);
  }

  @Test
  void theyDoNotShareADirectory() throws IOException {
    Path path = dir.resolve("run");
    try (RunDirectory _ = RunDirectory.claim(path)) {
      Pages.says(
          "two-trainings.md",
          "is in use by another run of this process",
          () -> RunDirectory.claim(path));
    }
  }
}
