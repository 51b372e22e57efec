package dev.javelin.train.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.data.InputException;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
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
            12, 96, 6144, -7, new StepState.Carried(32768, 5, 11, 1), 1.25, 10, "llama");
    new Checkpoints(run, 3).save(state, d -> Files.writeString(d.resolve("model"), "weights"));
    TrainingState read = TrainingState.read(run.resolve("checkpoint-12"));
    assertThat(read).isEqualTo(state.withSaves(1));
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
  void everyNthStaysForEver() throws IOException {
    Checkpoints checkpoints = new Checkpoints(run, new Keep(1, 30), Map.of());
    for (int step = 10; step <= 100; step += 10) {
      save(checkpoints, step, 20);
    }
    assertThat(names())
        .containsExactly(
            "best",
            "checkpoint-100",
            "checkpoint-20",
            "checkpoint-30",
            "checkpoint-60",
            "checkpoint-90",
            "last");
    save(new Checkpoints(run, 1), 110, 20);
    assertThat(names()).containsExactly("best", "checkpoint-110", "checkpoint-20", "last");
  }

  @Test
  void theManifestSaysWhereACheckpointComesFromAndReadersPassItOver() throws IOException {
    Map<String, Object> origin = Map.of("code", Map.of("version", "1.2.3"));
    save(new Checkpoints(run, Keep.ALL, origin), 10, 10);
    assertThat(run.resolve("checkpoint-10/manifest.json"))
        .content()
        .contains("\"version\": \"1.2.3\"", "\"crc32c\"");
    assertThat(new Checkpoints(run, 0).newest().orElseThrow().step()).isEqualTo(10);
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

  @Test
  void bytesOfTheSameLengthThatAreOthersAreFoundAndPassedOver() throws IOException {
    Checkpoints checkpoints = new Checkpoints(run, 3);
    save(checkpoints, 10, 10);
    save(checkpoints, 20, 10);
    Files.write(run.resolve("checkpoint-20/model"), new byte[13]);
    List<String> passedOver = new ArrayList<>();
    assertThat(checkpoints.newest(passedOver::add).orElseThrow().step()).isEqualTo(10);
    assertThat(passedOver)
        .singleElement()
        .asString()
        .contains("checkpoint-20", "model differs from what was written");
  }

  @Test
  void aStateInWhichOneDigitIsAnotherIsFound() throws IOException {
    save(new Checkpoints(run, 3), 10, 10);
    Path state = run.resolve("checkpoint-10/training_state.json");
    Files.writeString(state, Files.readString(state).replace("\"tokens\": 10", "\"tokens\": 11"));
    assertThatThrownBy(() -> Checkpoint.open(run.resolve("checkpoint-10")))
        .isInstanceOf(IncompleteCheckpointException.class)
        .hasMessageContaining("training_state.json differs from what was written");
  }

  @Test
  void checkpointsOfFormat1AreReadByTheLengthsInTheirState() throws IOException {
    Path old = Files.createDirectory(run.resolve("checkpoint-10"));
    Files.writeString(old.resolve("model"), "weights");
    String state =
        """
        {"format": 1, "step": 10, "applied_steps": 9, "skipped_steps": 1, "sequences": 40,
         "tokens": 640, "seed": 3, "loss_scaler": {"scale": 1.0, "growth_tracker": 0},
         "model": "m", "files": {"model": 7}}
        """;
    Files.writeString(old.resolve("training_state.json"), state);
    Checkpoint read = new Checkpoints(run, 3).newest().orElseThrow();
    assertThat(read.state())
        .isEqualTo(
            new TrainingState(10, 40, 640, 3, new StepState.Carried(1, 0, 9, 1), null, 0, "m"));
    Files.writeString(old.resolve("model"), "short");
    assertThatThrownBy(() -> Checkpoint.open(old)).hasMessageContaining("model has 5 bytes, 7");
    Files.writeString(old.resolve("training_state.json"), state.replace("{\"model\": 7}", "{}"));
    assertThatThrownBy(() -> Checkpoint.open(old))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("lists no files");
  }

  @Test
  void aCheckpointWithoutItsManifestIsNotWhole() throws IOException {
    save(new Checkpoints(run, 3), 10, 10);
    Files.delete(run.resolve("checkpoint-10/manifest.json"));
    assertThatThrownBy(() -> Checkpoint.open(run.resolve("checkpoint-10")))
        .hasMessageContaining("manifest.json is missing");
  }

  @Test
  void whereNoneIsWholeAllAreNamedAndNothingIsTouched() throws IOException {
    Checkpoints checkpoints = new Checkpoints(run, 3);
    save(checkpoints, 10, 10);
    save(checkpoints, 20, 10);
    for (String name : List.of("checkpoint-10", "checkpoint-20")) {
      Path state = run.resolve(name).resolve("training_state.json");
      byte[] bytes = Files.readAllBytes(state);
      bytes[0] = 'x';
      Files.write(state, bytes);
    }
    assertThatThrownBy(checkpoints::newest)
        .isInstanceOf(InputException.class)
        .hasMessageContainingAll(
            run.toString(),
            "checkpoint-10",
            "checkpoint-20",
            "training_state.json",
            "--output-dir");
    assertThat(names()).containsExactly("best", "checkpoint-10", "checkpoint-20", "last");
  }

  @Test
  void whatCannotBeReadIsNeitherDeletedNorCounted() throws IOException {
    Checkpoints checkpoints = new Checkpoints(run, 2);
    save(checkpoints, 10, 10);
    save(checkpoints, 20, 10);
    Files.writeString(run.resolve("checkpoint-20/training_state.json"), "{");
    for (int step = 30; step <= 50; step += 10) {
      save(checkpoints, step, 10);
    }
    assertThat(names())
        .containsExactly(
            "best", "checkpoint-10", "checkpoint-20", "checkpoint-40", "checkpoint-50", "last");
    save(checkpoints, 20, 10);
    assertThat(run.resolve("checkpoint-20.damaged/training_state.json")).hasContent("{");
    assertThat(checkpoints.newest().orElseThrow().step()).isEqualTo(20);
  }

  @Test
  void pointersOfAProcessThatWasKilledAreMended() throws IOException {
    Checkpoints checkpoints = new Checkpoints(run, 2);
    save(checkpoints, 10, 10);
    save(checkpoints, 20, 20);
    for (String pointer : List.of("last", "best")) {
      Files.delete(run.resolve(pointer));
      Files.createSymbolicLink(run.resolve(pointer), Path.of("checkpoint-10"));
    }
    checkpoints.repair(checkpoints.newest().orElseThrow());
    assertThat(checkpoints.pointedTo("last")).contains(run.resolve("checkpoint-20"));
    assertThat(checkpoints.pointedTo("best")).contains(run.resolve("checkpoint-20"));
    Files.delete(run.resolve("best"));
    for (int step = 30; step <= 60; step += 10) {
      save(checkpoints, step, 20);
    }
    assertThat(names()).containsExactly("checkpoint-20", "checkpoint-50", "checkpoint-60", "last");
  }

  @Test
  void aCheckpointThatWasBeingReplacedGetsItsNameBack() throws IOException {
    Checkpoints checkpoints = new Checkpoints(run, 2);
    save(checkpoints, 10, 10);
    Files.move(run.resolve("checkpoint-10"), run.resolve(".checkpoint-10.replaced"));
    checkpoints.recover();
    checkpoints.sweep();
    assertThat(checkpoints.newest().orElseThrow().step()).isEqualTo(10);
  }

  @Test
  void theNewestIsTheOneWrittenLastWhateverItsStep() throws IOException {
    Checkpoints checkpoints = new Checkpoints(run, 0);
    for (int step = 10; step <= 30; step += 10) {
      save(checkpoints, step, step);
    }
    checkpoints.goOnFrom(Checkpoint.open(run.resolve("checkpoint-10")));
    assertThat(checkpoints.newest().orElseThrow().step()).isEqualTo(10);
    assertThat(checkpoints.pointedTo("last")).contains(run.resolve("checkpoint-10"));
    assertThat(checkpoints.pointedTo("best")).contains(run.resolve("checkpoint-10"));
    save(checkpoints, 15, 10);
    assertThat(checkpoints.newest().orElseThrow().step()).isEqualTo(15);
    save(new Checkpoints(run, 2), 18, 10);
    assertThat(names())
        .containsExactly(
            ".branch", "best", "checkpoint-10", "checkpoint-15", "checkpoint-18", "last");
  }

  @Test
  void onlyOurOwnTemporaryNamesAreSwept() throws IOException {
    List<String> theirs =
        List.of(
            ".checkpoint-x.partial", ".checkpoint-5", "checkpoint-5.deleted", ".cache", "b.new");
    for (String name : theirs) {
      Files.createDirectory(run.resolve(name));
    }
    Path elsewhere = Files.createDirectory(run.resolve("elsewhere"));
    Files.writeString(elsewhere.resolve("file"), "theirs");
    Files.createSymbolicLink(run.resolve(".checkpoint-5.partial"), elsewhere);
    new Checkpoints(run, 3).sweep();
    assertThat(names()).containsAll(theirs).doesNotContain(".checkpoint-5.partial");
    assertThat(elsewhere.resolve("file")).hasContent("theirs");
  }

  @Test
  void nothingIsWrittenThroughALink() throws IOException {
    Path elsewhere = Files.createDirectory(run.resolve("elsewhere"));
    Path file = Files.writeString(run.resolve("file"), "theirs");
    Files.createSymbolicLink(run.resolve(".checkpoint-10.partial"), elsewhere);
    Files.createSymbolicLink(run.resolve("checkpoint-10"), elsewhere);
    Files.createSymbolicLink(run.resolve(".last.new"), file);
    Files.createSymbolicLink(run.resolve("best"), file);
    save(new Checkpoints(run, 1), 10, 10);
    assertThat(elsewhere).isEmptyDirectory();
    assertThat(file).hasContent("theirs");
    assertThat(run.resolve("best/model")).hasContent("weights of 10");
  }

  @Test
  void anInterruptDoesNotDisturbASaveAndIsThereAfterwards() {
    Checkpoints checkpoints = new Checkpoints(run, 3);
    Thread.currentThread().interrupt();
    save(checkpoints, 10, 10);
    assertThat(Thread.interrupted()).isTrue();
    checkpoints.save(
        state(20, 10),
        d -> {
          Files.writeString(d.resolve("model"), "weights of 20");
          if (!Files.exists(run.resolve("once"))) {
            Files.writeString(run.resolve("once"), "");
            Thread.currentThread().interrupt();
          }
        });
    assertThat(Thread.interrupted()).isTrue();
    assertThat(checkpoints.newest().orElseThrow().step()).isEqualTo(20);
  }

  @Test
  void namesThatLeadElsewhereAndNonsenseAreRefused() throws IOException {
    save(new Checkpoints(run, 3), 10, 10);
    Path directory = run.resolve("checkpoint-10");
    Path manifest = directory.resolve("manifest.json");
    String whole = Files.readString(manifest);
    for (String name : List.of("../model", "/etc/passwd", "a\\u0000b", "..", "", "a\\u001b[2J")) {
      Files.writeString(manifest, whole.replace("\"model\"", '"' + name + '"'));
      assertThatThrownBy(() -> Checkpoint.open(directory))
          .isInstanceOf(FileFormatException.class)
          .hasMessageContaining("manifest.json")
          .hasMessageNotContaining("\u001b");
    }
    Files.writeString(manifest, whole);
    Files.move(directory, run.resolve("checkpoint-11"));
    assertThatThrownBy(() -> Checkpoint.open(run.resolve("checkpoint-11")))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("is the state of step 10");
  }

  @Test
  void aLossThatIsNoNumberIsNeverTheBest() {
    for (double loss : new double[] {Double.NaN, Double.POSITIVE_INFINITY}) {
      TrainingState state =
          new TrainingState(5, 5, 5, 1, new StepState.Carried(1, 0, 5, 0), loss, 5, "m");
      assertThat(state.bestLoss()).isNull();
      new Checkpoints(run, 3).save(state, d -> Files.writeString(d.resolve("model"), "w"));
      assertThat(run.resolve("best")).doesNotExist();
      assertThat(TrainingState.read(run.resolve("last")))
          .extracting(TrainingState::bestLoss)
          .isNull();
    }
  }

  private static void save(Checkpoints checkpoints, long step, long best) {
    checkpoints.save(
        state(step, best), d -> Files.writeString(d.resolve("model"), "weights of " + step));
  }

  private static TrainingState state(long step, long best) {
    @Nullable Double loss = 1.0 / best;
    return new TrainingState(
        step, step, step, 1, new StepState.Carried(1, 0, 1, 0), loss, best, "m");
  }

  private List<String> names() throws IOException {
    try (Stream<Path> paths = Files.list(run)) {
      return paths.map(p -> p.getFileName().toString()).sorted().toList();
    }
  }
}
