package dev.javelin.train.summary;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.eval.Evaluation;
import dev.javelin.train.monitor.StepMetrics;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunSummaryTest {
  @TempDir Path dir;

  private void counter(String zone, long microjoules, long range) throws IOException {
    Path folder = Files.createDirectories(dir.resolve(zone));
    Files.writeString(folder.resolve("energy_uj"), microjoules + "\n");
    Files.writeString(folder.resolve("max_energy_range_uj"), range + "\n");
  }

  @Test
  void energyIsTheSumOfAllPackagesAcrossTheirWraps() throws IOException {
    counter("intel-rapl:0", 4_000_000, 10_000_000);
    counter("intel-rapl:1", 9_000_000, 10_000_000);
    counter("intel-rapl:0:0", 0, 10_000_000); // a part of package 0
    Energy energy = Energy.begin(dir);
    assertThat(energy.joules()).isZero();
    counter("intel-rapl:0", 5_500_000, 10_000_000);
    counter("intel-rapl:1", 1_000_000, 10_000_000); // went round
    counter("intel-rapl:0:0", 9_000_000, 10_000_000);
    assertThat(energy.joules()).isEqualTo(3.5);
    counter("intel-rapl:1", 8_000_000, 10_000_000);
    assertThat(energy.joules()).isEqualTo(10.5);
  }

  @Test
  void aSystemThatDoesNotTellGivesNoNumber() throws IOException {
    assertThat(Energy.begin(dir.resolve("none")).joules()).isNull();
    counter("intel-rapl:0", 4, 10);
    Files.writeString(dir.resolve("intel-rapl:0/energy_uj"), "not a number");
    assertThat(Energy.begin(dir).joules()).isNull();
  }

  @Test
  void theClockAddsUpStepsAndEvaluations() throws IOException {
    RunClock clock = new RunClock(Energy.begin(dir.resolve("none")));
    for (int step = 11; step <= 14; step++) {
      clock.begins(step, 4L * step, step == 14 ? 8 : 4);
      pause(3);
      clock.advanced(step);
    }
    clock.logged(new StepMetrics(14, 2.5, 1, 1e-3, 999, 1, 1, 1, 0, 0, 2.75));
    pause(6);
    clock.evaluated(14, new Evaluation(2.75, null, 100));
    clock.ended();
    RunSummary s = clock.summary(16, 1e6, 1e12);
    assertThat(s.from()).isEqualTo(10);
    assertThat(s.steps()).isEqualTo(14);
    assertThat(s.tokensRead()).isEqualTo((3 * 4 + 8) * 16);
    assertThat(s.flops()).isEqualTo(320e6);
    assertThat(s.stepSeconds()).isGreaterThanOrEqualTo(0.012);
    assertThat(s.evaluationSeconds()).isGreaterThanOrEqualTo(0.006);
    assertThat(s.seconds()).isGreaterThanOrEqualTo(s.stepSeconds() + s.evaluationSeconds());
    assertThat(Objects.requireNonNull(s.mfu()))
        .isCloseTo(320e6 / s.stepSeconds() / 1e12, Offset.offset(1e-12));
    s.write(dir);
    JsonObject json = Json.read(dir.resolve(RunSummary.FILE));
    assertThat(json.number("mfu")).isEqualTo(s.mfu());
    assertThat(json.number("best_eval_loss")).isEqualTo(2.75);
    assertThat(json.members().get("joules")).isNull();
    assertThat(s.lines()).hasSize(3).element(2).asString().contains("2.7500 at step 14");
  }

  private static void pause(long millis) {
    long end = System.nanoTime() + millis * 1_000_000;
    while (System.nanoTime() < end) {
      Thread.onSpinWait();
    }
  }

  @Test
  void aRunThatDidNothingDividesByNothing() {
    RunClock clock = new RunClock(Energy.begin(dir.resolve("none")));
    clock.ended();
    RunSummary s = clock.summary(16, 1e6, 1e12);
    assertThat(s.mfu()).isNull();
    assertThat(s.tokensRead()).isZero();
    assertThat(s.lines())
        .isEqualTo(List.of("0 steps, 0 tokens in 0.0 s: steps 0 %, evaluation 0 %, the rest 0 %"));
  }

  @Test
  void thePeakIsThatOfRealProducts() {
    try (Cpu cpu = Cpu.open(1);
        Workspace workspace = Workspace.on(cpu)) {
      for (DType type : List.of(DType.F32, DType.BF16, DType.F16)) {
        double peak = Objects.requireNonNull(Peak.measure(workspace, type));
        assertThat(peak).isBetween(1e8, 1e14);
      }
    }
  }
}
