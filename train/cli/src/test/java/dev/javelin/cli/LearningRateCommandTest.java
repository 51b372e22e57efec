package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.javelin.train.monitor.MetricsFile;
import dev.javelin.train.monitor.StepMetrics;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Whole runs, and the learning rates that their steps have logged. */
class LearningRateCommandTest {
  private static final Path GOLDEN =
      Path.of("../src/test/resources/golden/optim/lr_schedules.json");

  @TempDir Path dir;

  static Stream<JsonNode> goldenCases() throws IOException {
    JsonNode schedules = new ObjectMapper().readTree(Files.readString(GOLDEN)).get("schedules");
    return StreamSupport.stream(schedules.spliterator(), false);
  }

  @ParameterizedTest
  @MethodSource("goldenCases")
  void everyReferenceScheduleCanBeAskedForByFlags(JsonNode golden) throws IOException {
    JsonNode p = golden.get("params");
    List<String> flags = new ArrayList<>();
    flags.add("--max-steps=" + golden.get("lr").size());
    flags.add("--lr-scheduler=" + shape(golden.get("case").asText()));
    flags.add("--learning-rate=" + p.path("max_lr").asText("0.001"));
    flags.add("--min-learning-rate=" + p.path("min_lr").asText("0"));
    flags.add("--warmup-steps=" + (p.has("first") ? 10 : p.path("warmup").asInt()));
    flags.add("--lr-decay-steps=" + p.path("total").asInt(100));
    option(flags, "--wsd-decay-steps", p.path("decay"));
    option(flags, "--wsd-decay-shape", p.path("shape"));
    option(flags, "--lr-cycle-steps", p.path("cycle"));
    if (p.has("restart_at")) {
      flags.add("--rewarmup");
      option(flags, "--rewarmup-at", p.path("restart_at"));
      option(flags, "--rewarmup-steps", p.path("rewarm_steps"));
      option(flags, "--rewarmup-learning-rate", p.path("new_max_lr"));
    }
    assertRates(run("run", flags.toArray(new String[0])), golden.get("lr"));
  }

  private static String shape(String name) {
    return switch (name) {
      case "constant", "warmup_constant" -> "constant";
      case "warmup_linear" -> "linear";
      case "inverse_sqrt" -> "inverse-sqrt";
      case "cosine_restarts" -> "cosine-restarts";
      case "warmup_cosine", "rewarmup" -> "cosine";
      default -> name.startsWith("wsd") ? "wsd" : name;
    };
  }

  private static void option(List<String> flags, String name, JsonNode value) {
    if (!value.isMissingNode()) {
      flags.add(name + "=" + value.asText());
    }
  }

  private static final String[] FIRST = {
    "--learning-rate=1e-3", "--min-learning-rate=1e-4", "--warmup-steps=10", "--lr-decay-steps=100"
  };

  /** The reference again: sixty steps, then forty that warm up first, in two goes. */
  @Test
  void aRunThatIsResumedWarmsUpAgainOnce() throws IOException {
    JsonNode golden =
        goldenCases().filter(g -> g.get("case").asText().equals("rewarmup")).findFirst().get();
    run("run", with(FIRST, "--max-steps=60"));
    String[] again = {
      "--resume",
      "--rewarmup",
      "--rewarmup-learning-rate=5e-4",
      "--rewarmup-steps=6",
      "--max-steps=100",
      "--save-every=70"
    };
    CommandLineTest.Result r = train("run", with(again, "--quiet=false"));
    assertThat(r.out())
        .contains(
            "the learning rate warms up again: from 0.000487 at step 60 to 0.000500 in 6 steps");
    assertRates(dir.resolve("run"), golden.get("lr"));
    // The same command once more, as a queue that restarts jobs gives it: nothing begins anew.
    Path run = dir.resolve("run");
    List<StepMetrics> before = MetricsFile.read(run.resolve("metrics.jsonl"));
    try (Stream<Path> files = Files.list(run.resolve("checkpoint-100"))) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    assertThat(train("run", again).exit()).isZero();
    assertThat(rates(run)).isEqualTo(before.stream().map(StepMetrics::lr).toList());
  }

  @Test
  void whatIsLeftOpenFollowsFromTheRunBefore() throws IOException {
    run("run", "--learning-rate=0.01", "--warmup-steps=2", "--max-steps=20");
    Path run = dir.resolve("run");
    assertThat(train("run", "--max-steps=60", "--resume", "--rewarmup").exit()).isZero();
    List<Double> rates = rates(run);
    double last = rates.get(19); // not that of a schedule of sixty steps
    assertThat(last)
        .isCloseTo(0.001 + 0.009 * 0.5 * (1 + Math.cos(Math.PI * 17 / 18)), within(1e-12));
    assertThat(rates.get(20)).isCloseTo(last + (0.001 - last) / 2, within(1e-12));
    assertThat(rates.get(21)).isEqualTo(0.001); // a tenth, after a twentieth of forty steps
    assertThat(rates.getLast()).isCloseTo(0.0001, within(1e-5));

    // The weights alone, with no step of their own.
    Path weights = run.resolve("checkpoint-20");
    Path next = run("next", "--model=" + weights, "--rewarmup", "--max-steps=40");
    assertThat(rates(next).getFirst()).isCloseTo(rates.get(20), within(1e-12));
    assertThat(rates(next).get(1)).isCloseTo(0.001, within(1e-12));
    // Weights of which nothing is known: from nothing to a tenth of --learning-rate.
    Path bare = Files.createDirectory(dir.resolve("bare"));
    for (String file : List.of("config.json", "model.safetensors", "tokenizer.json")) {
      Files.copy(weights.resolve(file), bare.resolve(file));
    }
    Path other =
        run("other", "--model=" + bare, "--rewarmup", "--learning-rate=0.02", "--max-steps=40");
    assertThat(rates(other).subList(0, 2)).containsExactly(0.001, 0.002);
  }

  @Test
  void aSecondWarmUpNeedsWeightsAndSteps() throws IOException {
    CommandLineTest.Result none = train("a", "--model=llama-shakespeare-cpu", "--rewarmup");
    assertThat(none.exit()).isEqualTo(2);
    assertThat(none.err())
        .contains("--rewarmup trains weights on: name a checkpoint with --resume");
    run("run", "--max-steps=5");
    CommandLineTest.Result over = train("run", "--max-steps=5", "--resume", "--rewarmup");
    assertThat(over.exit()).isEqualTo(2);
    assertThat(over.err()).contains("--rewarmup begins at step 5 and the run ends at step 5");
  }

  /** Four times the base batch: rates of four times, or twice, as much. */
  @Test
  void ratesGrowWithTheBatch() throws IOException {
    String[] batch = {
      "--batch-size=4", "--gradient-accumulation-steps=2", "--lr-base-batch=2", "--max-steps=8"
    };
    Path plain = run("plain", batch);
    Path linear = run("linear", with(batch, "--lr-scaling=linear"));
    Path sqrt = run("sqrt", with(batch, "--lr-scaling=sqrt"));
    assertThat(rates(linear)).isEqualTo(rates(plain).stream().map(lr -> lr * 4).toList());
    assertThat(rates(sqrt)).isEqualTo(rates(plain).stream().map(lr -> lr * 2).toList());
  }

  private Path run(String name, String... flags) {
    CommandLineTest.Result r = train(name, flags);
    assertThat(r.exit()).as(r.err()).isZero();
    return dir.resolve(name);
  }

  private CommandLineTest.Result train(String name, String... flags) {
    String[] small = {"--seq-len=8", "--batch-size=1", "--val-fraction=0"};
    return Tiny.bare(dir, dir.resolve(name), with(small, flags));
  }

  private static String[] with(String[] flags, String... more) {
    return Stream.concat(Stream.of(flags), Stream.of(more)).toArray(String[]::new);
  }

  private static List<Double> rates(Path run) throws IOException {
    return MetricsFile.read(run.resolve("metrics.jsonl")).stream().map(StepMetrics::lr).toList();
  }

  private static void assertRates(Path run, JsonNode golden) throws IOException {
    List<Double> rates = rates(run);
    assertThat(rates).hasSize(golden.size());
    IntStream.range(0, rates.size())
        .forEach(
            s ->
                assertThat(rates.get(s))
                    .as("step %d", s)
                    .isCloseTo(golden.get(s).asDouble(), within(1e-9 * golden.get(s).asDouble())));
  }
}
