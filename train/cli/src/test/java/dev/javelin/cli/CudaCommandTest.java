package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.RequiresEmulator;
import dev.javelin.device.Sample;
import dev.javelin.device.TestCuda;
import dev.javelin.train.data.DefaultText;
import dev.javelin.train.data.InputException;
import dev.javelin.train.monitor.MetricsFile;
import dev.javelin.train.monitor.StepMetrics;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** {@code javelin train}, {@code eval} and {@code generate} with {@code --device}. */
@RequiresCuda
class CudaCommandTest {
  private static final String GPU = TestCuda.isEmulated() ? "emulator" : "cuda";

  @TempDir Path dir;

  @ParameterizedTest
  @CsvSource({
    "cpu, fp32, 1e-4",
    "cpu, bf16, 2e-2",
    "cpu, fp16, 2e-2",
    "gpu, bf16, 2e-2",
    "gpu, fp16, 2e-2"
  })
  void aRunMovedToTheOtherDeviceAndBackGoesOnAsTheUnmovedOne(
      String where, String precision, double tolerance) throws IOException {
    String home = where.equals("cpu") ? "cpu" : GPU;
    Path stayed = dir.resolve("stayed");
    Path moved = dir.resolve("moved");
    train(stayed, precision, home, 6);
    train(moved, precision, home, 2);
    train(moved, precision, home.equals("cpu") ? GPU : "cpu", 4, "--resume");
    train(moved, precision, home, 6, "--resume");
    assertSameCurve(moved, stayed, 6, tolerance);
  }

  @Test
  void aRunThatStaysGoesOnBitForBit() throws IOException {
    String[] more = {"--gradient-accumulation-steps=2", "--dropout=0.1", "--resume"};
    train(dir.resolve("whole"), "fp16", GPU, 5, Arrays.copyOf(more, 2));
    train(dir.resolve("parts"), "fp16", GPU, 2, Arrays.copyOf(more, 2));
    train(dir.resolve("parts"), "fp16", GPU, 5, more);
    assertThat(Tiny.numbers(dir.resolve("parts").resolve("checkpoint-5")))
        .isEqualTo(Tiny.numbers(dir.resolve("whole").resolve("checkpoint-5")))
        .hasSizeGreaterThan(1);
  }

  private void train(Path run, String precision, String device, int steps, String... more) {
    List<String> flags =
        new ArrayList<>(
            List.of(
                "--precision=" + precision,
                "--device=" + device,
                "--max-steps=" + steps,
                "--lr-decay-steps=12"));
    flags.addAll(Arrays.asList(more));
    ResumeTest.assertSuccess(Tiny.train(dir, run, flags.toArray(new String[0])));
  }

  @Test
  @RequiresEmulator
  void theSameSeedGivesTheSameFilesInAnyOrderOfThreads() throws IOException {
    Map<String, String> first = null;
    try {
      for (String order : List.of("forward", "forward", "reverse", "99")) {
        Path run = dir.resolve("run-" + System.nanoTime());
        if (first != null) {
          TestCuda.set("order", order);
        }
        train(run, "bf16", GPU, 3, "--gradient-accumulation-steps=2");
        Map<String, String> files = Tiny.numbers(run.resolve("checkpoint-3"));
        first = first == null ? files : first;
        assertThat(files).as(order).isEqualTo(first);
      }
    } finally {
      TestCuda.set("order", "forward");
    }
  }

  @Test
  void evalAndGenerateSayThereWhatTheySayOnTheCpu() throws IOException {
    Path run = dir.resolve("run");
    train(run, "fp32", "cpu", 12);
    double[] losses = new double[2];
    String[] texts = new String[2];
    for (int i = 0; i < 2; i++) {
      String[] where = {"--model=" + run.resolve("last"), "--device=" + (i == 0 ? "cpu" : GPU)};
      CommandLineTest.Result eval =
          CommandLineTest.run("eval", where[0], where[1], "--data=" + Tiny.text(dir), "--json");
      ResumeTest.assertSuccess(eval);
      losses[i] =
          new ObjectMapper().readTree(eval.out().lines().toList().getLast()).get("loss").asDouble();
      CommandLineTest.Result text =
          CommandLineTest.run(
              "generate",
              where[0],
              where[1],
              "--prompt=line 7",
              "--max-new-tokens=20",
              "--temperature=0");
      ResumeTest.assertSuccess(text);
      texts[i] = text.out();
    }
    assertThat(losses[1]).isCloseTo(losses[0], within(1e-4 * losses[0]));
    assertThat(texts[1]).isEqualTo(texts[0]);
  }

  static List<Sample<String>> precision() {
    return Sample.of("default model", List.of("fp32", "bf16", "fp16"), 1);
  }

  /** The model that a run without flags trains, on fewer tokens. */
  @ParameterizedTest
  @MethodSource("precision")
  void theDefaultModelLearnsAsOnTheCpu(Sample<String> precision) {
    precision.check(p -> defaultModel(p, firstSteps(p), 6, "--batch-size=1", "--seq-len=32"));
  }

  /** What the first steps may differ by: three times and more of what was seen. */
  private static double firstSteps(String precision) {
    return switch (precision) {
      case "fp32" -> 1e-6;
      case "bf16" -> 1e-3;
      default -> 2e-4;
    };
  }

  /**
   * At a third of the preset's learning rate: at the whole, so small a batch makes the loss leap
   * now and then, and roundings decide by how much (in bf16 by 7 %, on the CPU alone by 4 %). Here
   * the CPU's own curve moves by 2.9e-7, 2.4e-4 and 2.4e-5 (fp32, bf16, fp16) where the batch is
   * halved into two micro-batches or the learning rate changed by a millionth.
   */
  @Tag("long")
  @ParameterizedTest
  @CsvSource({"fp32, 1e-6", "bf16, 1.5e-3", "fp16, 2e-4"})
  void aHundredStepsOfTheDefaultModelAreTheCpus(String precision, double tolerance)
      throws IOException {
    defaultModel(
        precision, tolerance, 100, "--batch-size=2", "--seq-len=64", "--learning-rate=3e-4");
  }

  private void defaultModel(String precision, double tolerance, int steps, String... size)
      throws IOException {
    assumeDefaultText();
    for (String device : List.of("cpu", GPU)) {
      List<String> flags =
          new ArrayList<>(
              List.of(
                  "train",
                  "--precision=" + precision,
                  "--device=" + device,
                  "--max-steps=" + steps,
                  "--logging-steps=1",
                  "--val-fraction=0",
                  "--warmup-steps=2",
                  "--quiet",
                  "--output-dir=" + dir.resolve(device)));
      flags.addAll(Arrays.asList(size));
      ResumeTest.assertSuccess(CommandLineTest.run(flags.toArray(new String[0])));
    }
    assertSameCurve(dir.resolve(GPU), dir.resolve("cpu"), steps, tolerance);
  }

  /** The GPU kit leaves it at home. */
  private static void assumeDefaultText() {
    try {
      DefaultText.load();
    } catch (InputException e) {
      assumeTrue(false, e.getMessage());
    }
  }

  private static void assertSameCurve(Path run, Path expected, int steps, double tolerance)
      throws IOException {
    List<StepMetrics> got = MetricsFile.read(run.resolve("metrics.jsonl"));
    List<StepMetrics> want = MetricsFile.read(expected.resolve("metrics.jsonl"));
    assertThat(got).hasSize(steps).hasSameSizeAs(want);
    double worst = 0;
    for (int i = 0; i < steps; i++) {
      double loss = want.get(i).loss();
      worst = Math.max(worst, Math.abs(got.get(i).loss() - loss) / loss);
      assertThat(got.get(i).loss())
          .as("loss of step %d", i + 1)
          .isCloseTo(loss, within(tolerance * loss));
    }
    System.out.printf("largest difference of %d losses: %.2g%n", steps, worst);
  }
}
