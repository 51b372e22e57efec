package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.train.checkpoint.TrainingState;
import dev.javelin.train.monitor.MetricsFile;
import dev.javelin.train.monitor.StepMetrics;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ResumeTest {
  @TempDir Path dir;

  @ParameterizedTest
  @ValueSource(strings = {"fp32", "bf16", "fp16"})
  void aResumedRunEndsWithTheBitsOfAnUnbrokenOne(String precision) throws IOException {
    Path whole = dir.resolve("whole");
    Path parts = dir.resolve("parts");
    String[] same = {"--precision=" + precision, "--val-fraction=0.2", "--eval-every=4"};
    assertSuccess(Tiny.train(dir, whole, with(same)));
    // The schedule must not end where the first part does.
    assertSuccess(Tiny.train(dir, parts, with(same, "--max-steps=5", "--lr-decay-steps=12")));
    assertSuccess(Tiny.train(dir, parts, with(same, "--resume", "--lr-decay-steps=12")));
    assertThat(Tiny.numbers(parts.resolve("checkpoint-12")))
        .isEqualTo(Tiny.numbers(whole.resolve("checkpoint-12")))
        .containsKeys("model.safetensors", "optimizer.safetensors");
    assertThat(losses(parts)).isEqualTo(losses(whole));
  }

  @Test
  void metricsAreCutBackToTheCheckpointAResumedRunGoesOnFrom() throws IOException {
    Path run = dir.resolve("run");
    assertSuccess(Tiny.train(dir, run, "--save-every=5"));
    deleteRecursively(run.resolve("checkpoint-12"));
    assertSuccess(Tiny.train(dir, run, "--resume", "--max-steps=11", "--lr-decay-steps=12"));
    assertThat(MetricsFile.read(run.resolve("metrics.jsonl")))
        .extracting(StepMetrics::step)
        .containsExactly(1L, 2L, 3L, 4L, 5L, 6L, 7L, 8L, 9L, 10L, 11L);
    assertThat(TrainingState.read(run.resolve("last")).step()).isEqualTo(11);
  }

  @Test
  void aFreshRunIntoADirectoryWithCheckpointsIsRefusedByName() {
    Path run = dir.resolve("run");
    assertSuccess(Tiny.train(dir, run, "--max-steps=1"));
    CommandLineTest.Result again = Tiny.train(dir, run);
    assertThat(again.exit()).isEqualTo(2);
    assertThat(again.err().lines())
        .singleElement()
        .asString()
        .contains(run.toString(), "holds checkpoints", "--resume", "--output-dir");
  }

  @Test
  void resumingWithNothingThereStartsAfreshAndSaysSo() {
    CommandLineTest.Result r =
        Tiny.train(dir, dir.resolve("run"), "--resume", "--max-steps=1", "--quiet=false");
    assertSuccess(r);
    assertThat(r.out()).contains("no complete checkpoint in", "starting from scratch");
  }

  @Test
  void anotherArchitectureOrPrecisionIsRefusedByName() throws IOException {
    Path run = dir.resolve("run");
    assertSuccess(Tiny.train(dir, run, "--max-steps=1"));
    CommandLineTest.Result precision = Tiny.train(dir, run, "--resume", "--precision=bf16");
    assertThat(precision.exit()).isEqualTo(2);
    assertThat(precision.err().lines())
        .singleElement()
        .asString()
        .contains("checkpoint-1", "the precision is bf16 (was fp32)", "--override");
    CommandLineTest.Result model =
        Tiny.train(dir, run, "--resume", "--model=llama-shakespeare-cpu");
    assertThat(model.exit()).isEqualTo(2);
    assertThat(model.err().lines())
        .singleElement()
        .asString()
        .contains("checkpoint-1", "2 layers, 32 wide", "--model");
    assertThat(TrainingState.read(run.resolve("last")).step()).isEqualTo(1);
  }

  @Test
  void anotherEpsilonOrAnotherRotationIsRefusedByName() throws IOException {
    Path run = dir.resolve("run");
    assertSuccess(Tiny.train(dir, run, "--max-steps=1"));
    Path model = dir.resolve("changed");
    Files.createDirectories(model);
    String config = Files.readString(run.resolve("last/config.json"));
    Files.copy(run.resolve("last/model.safetensors"), model.resolve("model.safetensors"));
    Files.writeString(model.resolve("config.json"), config);
    assertSuccess(Tiny.train(dir, run, "--resume", "--max-steps=1", "--model=" + model));
    for (String changed :
        List.of(
            config.replaceAll("(\"rms_norm_eps\": )[^,\n]+", "$10.25"),
            config.replaceAll("(\"rope_theta\": )[^,\n]+", "$1777"))) {
      assertThat(changed).isNotEqualTo(config);
      Files.writeString(model.resolve("config.json"), changed);
      CommandLineTest.Result r =
          Tiny.train(dir, run, "--resume", "--max-steps=2", "--model=" + model);
      assertThat(r.exit()).isEqualTo(2);
      assertThat(r.err()).contains("checkpoint-1 has the", "give the same --model");
    }
  }

  @Test
  void aCheckpointCutShortIsPassedOverByAutoAndRefusedByName() throws IOException {
    Path run = dir.resolve("run");
    assertSuccess(Tiny.train(dir, run, "--save-every=5"));
    Path broken = run.resolve("checkpoint-12");
    byte[] bytes = Files.readAllBytes(broken.resolve("model.safetensors"));
    Files.write(broken.resolve("model.safetensors"), java.util.Arrays.copyOf(bytes, 1000));
    CommandLineTest.Result named = Tiny.train(dir, run, "--resume=" + broken);
    assertThat(named.exit()).isEqualTo(2);
    assertThat(named.err().lines())
        .singleElement()
        .asString()
        .contains("checkpoint-12", "model.safetensors has 1000 bytes");
    CommandLineTest.Result auto = Tiny.train(dir, run, "--resume", "--quiet=false");
    assertSuccess(auto);
    assertThat(auto.out()).contains("going on from " + run.resolve("checkpoint-10"));
    assertThat(auto.err()).contains("skipped " + broken, "1000 bytes");
  }

  @Test
  void settingsNotGivenAreThoseTheRunWasStartedWith() throws IOException {
    Path run = dir.resolve("run");
    assertSuccess(Tiny.train(dir, run));
    assertSuccess(
        CommandLineTest.run("train", "--resume", "--output-dir=" + run, "--max-steps=14"));
    TrainingState state = TrainingState.read(run.resolve("last"));
    assertThat(state.step()).isEqualTo(14);
    assertThat(state.sequences()).isEqualTo(14 * 4);
    assertThat(Files.readString(run.resolve("config.yaml")))
        .contains("max_steps: 14", "seq_len: 16")
        .doesNotContain("resume");
  }

  @Test
  void resumingWhatIsAtItsEndSaysSo() {
    Path run = dir.resolve("run");
    assertSuccess(Tiny.train(dir, run, "--max-steps=2"));
    CommandLineTest.Result again =
        Tiny.train(dir, run, "--resume", "--max-steps=2", "--quiet=false");
    assertSuccess(again);
    assertThat(again.out()).contains("checkpoint-2 is the end of this run", "--max-steps");
  }

  @Test
  void whereNoStateCanBeReadNothingIsTouchedAndAllAreNamed() throws IOException {
    Path run = dir.resolve("run");
    assertSuccess(Tiny.train(dir, run, "--save-every=5"));
    for (int step : new int[] {5, 10, 12}) {
      Path state = run.resolve("checkpoint-" + step + "/training_state.json");
      byte[] bytes = Files.readAllBytes(state);
      bytes[1] = 1;
      Files.write(state, bytes);
    }
    byte[] metrics = Files.readAllBytes(run.resolve("metrics.jsonl"));
    CommandLineTest.Result r = Tiny.train(dir, run, "--resume", "--max-steps=14");
    assertThat(r.exit()).isEqualTo(2);
    assertThat(r.err().lines())
        .singleElement()
        .asString()
        .contains("checkpoint-5:", "checkpoint-10:", "checkpoint-12:", "--output-dir")
        .doesNotContain("\u0001");
    assertThat(run.resolve("checkpoint-5/model.safetensors")).exists();
    assertThat(Files.readAllBytes(run.resolve("metrics.jsonl"))).isEqualTo(metrics);
  }

  @ParameterizedTest
  @ValueSource(strings = {"model.safetensors", "optimizer.safetensors"})
  void zerosInThePlaceOfNumbersAreNoticed(String file) throws IOException {
    Path run = dir.resolve("run");
    assertSuccess(Tiny.train(dir, run, "--save-every=5"));
    Path broken = run.resolve("checkpoint-12").resolve(file);
    byte[] bytes = Files.readAllBytes(broken);
    java.util.Arrays.fill(bytes, bytes.length - 4096, bytes.length, (byte) 0);
    Files.write(broken, bytes);
    CommandLineTest.Result r = Tiny.train(dir, run, "--resume", "--quiet=false");
    assertSuccess(r);
    assertThat(r.out()).contains("going on from " + run.resolve("checkpoint-10"));
    assertThat(r.err()).contains("checkpoint-12: " + file + " differs from what was written");
    assertThat(Files.readAllBytes(run.resolve("checkpoint-12.damaged").resolve(file)))
        .isEqualTo(bytes);
  }

  @Test
  void aBranchFromAnEarlierCheckpointIsWhatResumeFindsNext() throws IOException {
    Path run = dir.resolve("run");
    assertSuccess(Tiny.train(dir, run, "--save-every=5", "--keep=0"));
    Path five = run.resolve("checkpoint-5");
    assertSuccess(Tiny.train(dir, run, "--resume=" + five, "--max-steps=7", "--keep=0"));
    assertThat(TrainingState.read(run.resolve("last")).step()).isEqualTo(7);
    CommandLineTest.Result r =
        Tiny.train(dir, run, "--resume", "--max-steps=9", "--keep=0", "--quiet=false");
    assertSuccess(r);
    assertThat(r.out()).contains("going on from " + run.resolve("checkpoint-7"));
    assertThat(TrainingState.read(run.resolve("last")).step()).isEqualTo(9);
    assertThat(run.resolve("checkpoint-12/model.safetensors")).exists();
  }

  @Test
  void otherDataSeedOrderTokenizerOrLengthIsRefusedByNameUnlessMeant() throws IOException {
    Path run = dir.resolve("run");
    assertSuccess(Tiny.train(dir, run, "--max-steps=2"));
    Path other = Files.writeString(dir.resolve("other.txt"), "something else ".repeat(300));
    Map<String, String> changes =
        Map.of(
            "--data=" + other,
            "holds 4050 tokens (the run began with 3617",
            "--val-fraction=0.5",
            "holds 2009 tokens",
            "--seed=7",
            "the seed is 7 (was 1)",
            "--order=sequential",
            "the order is sequential (was shuffled)",
            "--data-seed=7",
            "the order is shuffled by --data-seed 7 (was shuffled)",
            "--tokenizer=char",
            "the tokenizer differs",
            "--seq-len=8",
            "the sequence length is 8 (was 16)");
    for (Map.Entry<String, String> change : changes.entrySet()) {
      CommandLineTest.Result r = Tiny.train(dir, run, "--resume", "--max-steps=3", change.getKey());
      assertThat(r.exit()).as(change.getKey()).isEqualTo(2);
      assertThat(r.err().lines())
          .singleElement()
          .asString()
          .contains("checkpoint-2", change.getValue(), "--override");
    }
    CommandLineTest.Result meant =
        Tiny.train(
            dir, run, "--resume", "--max-steps=3", "--seed=7", "--override", "--quiet=false");
    assertSuccess(meant);
    assertThat(meant.out() + meant.err()).contains("the seed is 7 (was 1)");
    assertThat(Files.readString(run.resolve("config.yaml"))).contains("override: false");
    assertSuccess(Tiny.train(dir, run, "--resume", "--max-steps=4", "--seed=7"));
  }

  @Test
  void theManifestNamesCodeSettingsDataAndEnvironment() throws IOException {
    Path run = dir.resolve("run");
    System.setProperty("javelin.commit", "0a1b2c3d4e5f");
    try {
      assertSuccess(Tiny.train(dir, run, "--max-steps=1", "--val-fraction=0.2"));
    } finally {
      System.clearProperty("javelin.commit");
    }
    JsonObject manifest = Json.read(run.resolve("last/manifest.json"));
    assertThat(manifest.object("code").text("commit")).isEqualTo("0a1b2c3d4e5f");
    assertThat(manifest.object("configuration").number("learning_rate")).isEqualTo(0.01);
    JsonObject data = manifest.object("data");
    assertThat(data.object("train").integer("tokens", 0, 9999)).isEqualTo(3215);
    assertThat(data.object("validation").text("crc32c")).matches("[0-9a-f]{8}");
    assertThat(data.text("tokenizer")).startsWith("256 tokens, ");
    JsonObject environment = manifest.object("environment");
    assertThat(environment.text("java")).contains(Runtime.version().toString());
    assertThat(environment.text("device")).isEqualTo("cpu(1 threads)");
    assertThat(environment.members()).containsKeys("system", "processor", "vector_bits");
  }

  /** What was not given follows what is given now, as if the run had been asked for at once. */
  @Test
  void aResumedRunMeansItsNewStepsAndItsNewLearningRateAndSaysSo() throws IOException {
    List<String> flags =
        List.of("--learning-rate=1e-3", "--batch-size=1", "--logging-steps=1", "--seq-len=8");
    Path run = dir.resolve("run");
    Path once = dir.resolve("once");
    assertSuccess(followed(run, flags, "--max-steps=5"));
    assertSuccess(followed(once, flags, "--max-steps=10"));
    CommandLineTest.Result longer =
        CommandLineTest.run("train", "--resume", "--output-dir=" + run, "--max-steps=10");
    assertSuccess(longer);
    assertThat(longer.out().lines())
        .containsOnlyOnce("changed since the run was started: max_steps 5 → 10");
    assertThat(rates(run).subList(5, 10)).isEqualTo(rates(once).subList(5, 10));
    CommandLineTest.Result lower =
        CommandLineTest.run(
            "train", "--resume", "--output-dir=" + run, "--max-steps=12", "--learning-rate=5e-5");
    assertSuccess(lower);
    assertThat(lower.out().lines())
        .contains(
            "changed since the run was started: learning_rate 0.001 → 5.0E-5, max_steps 10 → 12");
    assertThat(rates(run).getLast()).isBetween(5e-6, 5e-5);
    String config = "--config=" + run.resolve("config.yaml");
    assertSuccess(
        CommandLineTest.run(
            "train",
            config,
            "--output-dir=" + dir.resolve("again"),
            "--learning-rate=1e-6",
            "--max-steps=2"));
    assertThat(CommandLineTest.run("train", "--resume", "--output-dir=" + once).out())
        .doesNotContain("changed since");
  }

  private CommandLineTest.Result followed(Path run, List<String> flags, String steps) {
    List<String> all = new ArrayList<>(List.of("train", "--model=" + Tiny.model(dir)));
    all.addAll(List.of("--data=" + Tiny.text(dir), "--tokenizer=byte", steps));
    all.addAll(List.of("--output-dir=" + run, "--threads=1"));
    all.addAll(flags);
    return CommandLineTest.run(all.toArray(new String[0]));
  }

  private static List<Double> rates(Path run) throws IOException {
    return MetricsFile.read(run.resolve("metrics.jsonl")).stream().map(StepMetrics::lr).toList();
  }

  @Test
  void anotherTokenizerIsRefusedByName() throws IOException {
    Path run = dir.resolve("run");
    Path other = dir.resolve("other");
    assertSuccess(Tiny.train(dir, run, "--max-steps=2"));
    assertSuccess(Tiny.train(dir, other, "--max-steps=2", "--tokenizer=char"));
    String another = "--tokenizer=" + other.resolve("last");
    CommandLineTest.Result r = Tiny.train(dir, run, "--resume", "--max-steps=3", another);
    assertThat(r.exit()).isEqualTo(2);
    assertThat(r.err().lines())
        .singleElement()
        .asString()
        .contains("checkpoint-2", "the tokenizer differs", "--override");
    assertSuccess(Tiny.train(dir, run, "--resume", "--max-steps=3"));
    assertSuccess(Tiny.train(dir, run, "--resume", "--max-steps=4", another, "--override"));
    assertThat(run.resolve("last/tokenizer.json"))
        .hasSameBinaryContentAs(other.resolve("last/tokenizer.json"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"text", "jsonl", "csv", "prepared", "tokens"})
  void everyKindOfDataIsResumedToTheBit(String kind) throws IOException {
    String data = "--data=" + Tiny.data(dir, kind);
    Path whole = dir.resolve("whole");
    Path parts = dir.resolve("parts");
    assertSuccess(Tiny.train(dir, whole, data));
    assertSuccess(Tiny.train(dir, parts, data, "--max-steps=5", "--lr-decay-steps=12"));
    assertSuccess(Tiny.train(dir, parts, data, "--resume", "--lr-decay-steps=12"));
    assertThat(Tiny.numbers(parts.resolve("checkpoint-12")))
        .isEqualTo(Tiny.numbers(whole.resolve("checkpoint-12")));
    assertThat(losses(parts)).isEqualTo(losses(whole));
  }

  @Test
  void aLinkUnderANameOfTheRunIsNotWrittenThrough() throws IOException {
    Path run = Files.createDirectory(dir.resolve("run"));
    Path folder = Files.createDirectory(dir.resolve("folder"));
    Path victim = Files.writeString(dir.resolve("victim"), "theirs\n");
    for (String name :
        List.of(
            "config.yaml",
            "config.yaml.partial",
            "metrics.jsonl",
            "events.jsonl",
            "samples.jsonl",
            "train.log",
            "loss.png")) {
      Files.createSymbolicLink(run.resolve(name), victim);
    }
    Files.createSymbolicLink(run.resolve("runs"), folder);
    Files.createSymbolicLink(run.resolve("last"), folder);
    assertSuccess(Tiny.train(dir, run, "--max-steps=2", "--quiet=false"));
    assertThat(victim).hasContent("theirs");
    assertThat(folder).isEmptyDirectory();
    assertThat(TrainingState.read(run.resolve("last")).step()).isEqualTo(2);
  }

  private static List<Double> losses(Path run) throws IOException {
    return MetricsFile.read(run.resolve("metrics.jsonl")).stream().map(StepMetrics::loss).toList();
  }

  private static String[] with(String[] flags, String... more) {
    return Stream.concat(Stream.of(flags), Stream.of(more)).toArray(String[]::new);
  }

  static void assertSuccess(CommandLineTest.Result r) {
    assertThat(r.exit()).as(r.err()).isEqualTo(0);
  }

  private static void deleteRecursively(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(directory);
  }
}
