package dev.javelin.train.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.tensor.step.StepState;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CheckpointsTest {
  @TempDir Path run;

  @Test
  void stateComesBackAsItWasWritten() {
    TrainingState state =
        new TrainingState(
            12, 96, 6144, -7, new StepState.Carried(32768, 5, 11, 1), 1.25, 10, "llama", Map.of());
    new Checkpoints(run, 3).save(state, d -> Files.writeString(d.resolve("model"), "weights"));
    TrainingState read = TrainingState.read(run.resolve("checkpoint-12"));
    assertThat(read).isEqualTo(state.withFiles(Map.of("model", 7L)));
  }

  @Test
  void newestKeepBestAndLastStay() throws IOException {
    Checkpoints checkpoints = new Checkpoints(run, 2);
    for (int step = 10; step <= 60; step += 10) {
      save(checkpoints, step, step >= 20 ? 20 : step);
    }
    assertThat(names())
        .containsExactly("best", "checkpoint-20", "checkpoint-50", "checkpoint-60", "last");
    assertThat(checkpoints.pointedTo("last")).contains(run.resolve("checkpoint-60"));
    assertThat(checkpoints.pointedTo("best")).contains(run.resolve("checkpoint-20"));
    assertThat(run.resolve("best/model")).hasContent("weights of 20");
  }

  @Test
  void aWriterThatFailsLeavesEarlierCheckpointsAndNoTrace() throws IOException {
    Checkpoints checkpoints = new Checkpoints(run, 3);
    save(checkpoints, 10, 10);
    assertThatThrownBy(
            () ->
                checkpoints.save(
                    state(20, 10),
                    d -> {
                      Files.writeString(d.resolve("model"), "half");
                      throw new FileSystemException("x", null, "No space left on device");
                    }))
        .isInstanceOf(SaveException.class)
        .hasMessageContaining("checkpoint-20 could not be saved: No space left on device")
        .hasMessageContaining("checkpoint-10 is intact");
    assertThat(names()).containsExactly("best", "checkpoint-10", "last");
  }

  @Test
  void aCheckpointCutShortIsNotTakenForWhole() throws IOException {
    Checkpoints checkpoints = new Checkpoints(run, 3);
    save(checkpoints, 10, 10);
    save(checkpoints, 20, 10);
    Files.writeString(run.resolve("checkpoint-20/model"), "short");
    assertThat(checkpoints.newest().orElseThrow().step()).isEqualTo(10);
    assertThatThrownBy(() -> Checkpoint.open(run.resolve("checkpoint-20")))
        .hasMessageContaining("model has 5 bytes, 13 were written");
    Files.delete(run.resolve("checkpoint-10/training_state.json"));
    assertThat(checkpoints.newest()).isEmpty();
  }

  @Test
  void leftoversOfAKilledProcessAreSweptAway() throws IOException {
    Checkpoints checkpoints = new Checkpoints(run, 3);
    save(checkpoints, 10, 10);
    Files.createDirectories(run.resolve(".checkpoint-20.partial"));
    Files.writeString(run.resolve(".checkpoint-20.partial/model"), "half");
    Files.createDirectories(run.resolve(".checkpoint-5.deleted"));
    assertThat(checkpoints.newest().orElseThrow().step()).isEqualTo(10);
    checkpoints.sweep();
    assertThat(names()).containsExactly("best", "checkpoint-10", "last");
  }

  @Test
  void savingTheSameStepAgainReplacesIt() throws IOException {
    Checkpoints checkpoints = new Checkpoints(run, 3);
    save(checkpoints, 10, 10);
    checkpoints.save(state(10, 10), d -> Files.writeString(d.resolve("model"), "new"));
    assertThat(run.resolve("last/model")).hasContent("new");
    assertThat(names()).containsExactly("best", "checkpoint-10", "last");
  }

  @Test
  void aPointerMayBeAFileWhereThereAreNoLinks() throws IOException {
    Files.writeString(run.resolve("last"), "checkpoint-30\n");
    assertThat(new Checkpoints(run, 3).pointedTo("last")).contains(run.resolve("checkpoint-30"));
    Files.writeString(run.resolve("best"), "../elsewhere");
    assertThat(new Checkpoints(run, 3).pointedTo("best")).isEmpty();
  }

  private static void save(Checkpoints checkpoints, long step, long best) {
    checkpoints.save(
        state(step, best), d -> Files.writeString(d.resolve("model"), "weights of " + step));
  }

  private static TrainingState state(long step, long best) {
    @Nullable Double loss = 1.0 / best;
    return new TrainingState(
        step, step, step, 1, new StepState.Carried(1, 0, 1, 0), loss, best, "m", Map.of());
  }

  private List<String> names() throws IOException {
    try (Stream<Path> paths = Files.list(run)) {
      return paths.map(p -> p.getFileName().toString()).sorted().toList();
    }
  }
}
