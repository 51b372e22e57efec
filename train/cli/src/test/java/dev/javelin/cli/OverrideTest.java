package dev.javelin.cli;

import static dev.javelin.cli.ResumeTest.assertSuccess;
import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.tensor.io.Safetensors;
import dev.javelin.train.checkpoint.TrainingState;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What a resumed run is refused by name, and what it does with it where {@code --override} says
 * that it is meant.
 */
class OverrideTest {
  @TempDir Path dir;

  @Test
  void otherValidationOrAnotherObjectiveIsRefusedByNameUnlessMeant() throws IOException {
    Path run = dir.resolve("run");
    Path held = Files.writeString(dir.resolve("held.txt"), "to be measured on ".repeat(30));
    Path other = Files.writeString(dir.resolve("other.txt"), "to be measured by ".repeat(30));
    String measured = "--val-data=" + held;
    assertSuccess(Tiny.train(dir, run, "--max-steps=2", measured));
    Map<String, String> changes =
        Map.of(
            "--val-data=" + other,
            "other.txt with 540 tokens",
            "--val-fraction=0",
            "--val-data is none (was ",
            "--objective=distill",
            "--objective is distill (was next-token)");
    for (Map.Entry<String, String> change : changes.entrySet()) {
      List<String> flags = Tiny.flags(dir, run, "--resume", "--max-steps=3", change.getKey());
      if (change.getKey().startsWith("--val-fraction")) {
        // What is not given comes from the run.
        Path config = run.resolve("config.yaml");
        Files.writeString(
            config, Files.readString(config).replaceAll("(?m)^val_data:\\R?.*held.txt.*\\R", ""));
      }
      CommandLineTest.Result r = CommandLineTest.run(flags.toArray(new String[0]));
      assertThat(r.exit()).as(change.getKey()).isEqualTo(2);
      assertThat(r.err().lines())
          .singleElement()
          .asString()
          .contains("checkpoint-2", change.getValue(), "--override");
    }
    String[] meant = {
      "--resume", "--max-steps=3", "--val-data=" + other, "--override", "--eval-every=1"
    };
    assertThat(TrainingState.read(run.resolve("last")).bestStep()).isEqualTo(2);
    assertSuccess(Tiny.train(dir, run, meant));
    TrainingState after = TrainingState.read(run.resolve("last"));
    assertThat(after.bestStep()).as("of what is measured now").isEqualTo(3);
    assertSuccess(Tiny.train(dir, run, "--resume", "--max-steps=4", "--val-data=" + other));
  }

  @Test
  void anotherOptimizerIsRefusedByNameAndBeginsAnewWhereMeant() throws IOException {
    Path run = dir.resolve("run");
    assertSuccess(Tiny.train(dir, run, "--max-steps=4"));
    CommandLineTest.Result r =
        Tiny.train(dir, run, "--resume", "--max-steps=5", "--optimizer=adafactor");
    assertThat(r.exit()).isEqualTo(2);
    assertThat(r.err().lines())
        .singleElement()
        .asString()
        .contains("--optimizer is adafactor (was adamw)", "--override");
    String[] meant = {
      "--resume", "--max-steps=6", "--optimizer=adafactor", "--override", "--quiet=false"
    };
    CommandLineTest.Result changed = Tiny.train(dir, run, meant);
    assertSuccess(changed);
    assertThat(changed.out()).contains("begins anew", "optimizer adamw → adafactor");
    TrainingState state = TrainingState.read(run.resolve("last"));
    assertThat(state.step()).isEqualTo(6);
    assertThat(state.carried().appliedSteps()).as("of the new rule").isEqualTo(2);
    assertThat(state.sequences()).as("by examples seen").isEqualTo(6 * 4);
    assertSuccess(Tiny.train(dir, run, "--resume", "--max-steps=7", "--optimizer=adafactor"));
  }

  @ParameterizedTest
  @CsvSource({"bf16,fp32", "fp32,bf16", "fp32,fp16"})
  void anotherPrecisionGoesOnFromTheMostPreciseWeightsWhereMeant(String from, String to)
      throws IOException {
    Path run = dir.resolve("run");
    assertSuccess(Tiny.train(dir, run, "--max-steps=4", "--precision=" + from));
    Path before = run.resolve("checkpoint-4");
    String[] meant = {
      "--resume", "--max-steps=5", "--learning-rate=1e-30", "--weight-decay=0", "--override"
    };
    assertSuccess(
        Tiny.train(
            dir,
            run,
            Stream.concat(Stream.of(meant), Stream.of("--precision=" + to))
                .toArray(String[]::new)));
    Map<String, float[]> was = precise(before);
    Map<String, float[]> is = precise(run.resolve("checkpoint-5"));
    assertThat(is.keySet()).isEqualTo(was.keySet()).hasSizeGreaterThan(10);
    is.forEach((name, values) -> assertThat(values).as(name).isEqualTo(was.get(name)));
    assertSuccess(Tiny.train(dir, run, "--resume", "--max-steps=6", "--precision=" + to));
  }

  /** The masters of a checkpoint, or its weights where these are fp32. */
  private static Map<String, float[]> precise(Path checkpoint) {
    Map<String, float[]> all = new TreeMap<>();
    for (String file : List.of("model.safetensors", "optimizer.safetensors")) {
      try (Safetensors tensors = Safetensors.open(checkpoint.resolve(file))) {
        tensors
            .entries()
            .forEach(
                (name, entry) -> {
                  if (entry.type().equals("F32") && !name.startsWith("exp_avg")) {
                    float[] values = new float[(int) entry.shape().elements()];
                    for (int i = 0; i < values.length; i++) {
                      values[i] = entry.data().get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i);
                    }
                    all.put(name.replaceFirst("^master\\.", ""), values);
                  }
                });
      }
    }
    return all;
  }

  @Test
  void examplesOnARowEachAreNotPackedOnResume() throws IOException {
    Path run = dir.resolve("run");
    StringBuilder rows = new StringBuilder();
    for (int i = 0; i < 40; i++) {
      rows.append("{\"prompt\": \"%d?\", \"completion\": \"%d\"}\n".formatted(i, i));
    }
    String data = "--data=" + Files.writeString(dir.resolve("rows.jsonl"), rows);
    assertSuccess(Tiny.train(dir, run, "--max-steps=2", data));
    CommandLineTest.Result r =
        Tiny.train(dir, run, "--resume", "--max-steps=3", data, "--packing=false");
    assertThat(r.exit()).isEqualTo(2);
    assertThat(r.err()).contains("--packing is false (was true)", "--override");
  }
}
