package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.train.monitor.MetricsFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Two trainings in one directory. */
class TwoRunsTest {
  @TempDir Path dir;

  @Test
  void theSecondIsRefusedAndTheFirstIsWhole() throws Exception {
    Path run = dir.resolve("run");
    ChildJvm first =
        ChildJvm.start(
            dir, List.of(), Tiny.flags(dir, run, "--max-steps=1000000", "--val-fraction=0"));
    Path metrics = run.resolve("metrics.jsonl");
    while (first.process().isAlive() && !(Files.exists(metrics) && Files.size(metrics) > 0)) {
      Thread.sleep(10);
    }
    for (String more : List.of("--quiet", "--resume")) {
      CommandLineTest.Result second = Tiny.train(dir, run, "--learning-rate=0.5", more);
      assertThat(second.exit()).isEqualTo(2);
      assertThat(second.err().lines())
          .singleElement()
          .asString()
          .contains(run.toString(), "in use by process " + first.process().pid());
    }
    first.signal("TERM");
    assertThat(first.join()).as(first.text()).isEqualTo(143);
    assertThat(Files.readString(run.resolve("config.yaml"))).contains("learning_rate: 0.01");
    long last = MetricsFile.read(metrics).getLast().step();
    assertThat(run.resolve("checkpoint-" + last)).isDirectory();
    assertThat(MetricsFile.read(metrics)).hasSize((int) last);
    ResumeTest.assertSuccess(Tiny.train(dir, run, "--resume", "--max-steps=" + (last + 1)));
  }
}
