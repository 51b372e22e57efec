package dev.javelin.train.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.checkpoint.Checkpoints;
import dev.javelin.train.monitor.MetricsFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class InterruptTest {
  @TempDir Path dir;

  @Test
  void ctrlCSavesSaysSoAndExitsWith130() throws Exception {
    Path run = dir.resolve("run");
    ChildJvm child =
        ChildJvm.start(
            dir, List.of(), Tiny.flags(dir, run, "--max-steps=1000000", "--quiet=false"));
    Path metrics = run.resolve("metrics.jsonl");
    while (child.process().isAlive() && !(Files.exists(metrics) && Files.size(metrics) > 0)) {
      Thread.sleep(10);
    }
    child.signal("INT");
    assertThat(child.join()).as(child.text()).isEqualTo(130);
    Checkpoint saved = new Checkpoints(run, 0).newest().orElseThrow();
    assertThat(saved.step()).isEqualTo(MetricsFile.read(metrics).getLast().step());
    assertThat(child.text())
        .contains("stopped after step " + saved.step())
        .contains("checkpoint saved; go on with --resume");
  }
}
