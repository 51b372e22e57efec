package dev.javelin.train.sweep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.train.Run;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.checkpoint.Checkpoints;
import dev.javelin.train.data.InputException;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.sweep.SweepPlan.Method;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.SequencedMap;
import java.util.Set;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SweepTest {
  @TempDir Path dir;

  private SweepPlan plan(Method method, String yaml) throws IOException {
    Path file = dir.resolve("sweep.yaml");
    Files.writeString(file, yaml);
    return SweepPlan.read(file, Map.of(), method);
  }

  private String common() throws IOException {
    Path text = dir.resolve("text.txt");
    Files.writeString(text, "the sea under the hill sang over the old stone.\n".repeat(40));
    return """
        data: %s
        tokenizer: char
        model: llama-shakespeare-cpu
        device: cpu
        seq_len: 8
        batch_size: 2
        max_steps: 6
        warmup_steps: 1
        eval_every: 3
        logging_steps: 1
        """
        .formatted(text);
  }

  @Test
  void aGridIsEveryCombinationTheLastAxisFastest() throws IOException {
    SweepPlan plan = plan(Method.GRID, "lr: [1e-3, 3e-4]\nmax_steps: 5\nbatch-size: [2, 4, 8]\n");
    assertThat(plan.fixed().run().maxSteps()).isEqualTo(5);
    assertThat(plan.trials())
        .extracting(Object::toString)
        .containsExactly(
            "{learning_rate=0.001, batch_size=2}",
            "{learning_rate=0.001, batch_size=4}",
            "{learning_rate=0.001, batch_size=8}",
            "{learning_rate=3.0E-4, batch_size=2}",
            "{learning_rate=3.0E-4, batch_size=4}",
            "{learning_rate=3.0E-4, batch_size=8}");
    SweepPlan fixed =
        SweepPlan.read(dir.resolve("sweep.yaml"), Map.of("batch_size", "16"), Method.GRID);
    assertThat(fixed.trials()).hasSize(2);
    assertThat(fixed.fixed().batch().batchSize()).isEqualTo(16);
  }

  @Test
  void whatIsDrawnIsTheSeedsAndWithinItsBoundsAndNeverTwiceTheSame() throws IOException {
    String yaml =
        "lr: loguniform(1e-5, 1e-1)\ndropout: uniform(0.1, 0.3)\nbatch_size: [1, 2]\nwarmup_steps: uniform(3, 7)\n";
    SweepPlan plan = plan(Method.RANDOM, yaml).withSamples(400, 7);
    List<SequencedMap<String, Object>> trials = plan.trials();
    assertThat(trials).hasSize(400).doesNotHaveDuplicates().isEqualTo(plan.trials());
    assertThat(plan.withSamples(400, 8).trials()).isNotEqualTo(trials);
    int[] decades = new int[4];
    for (SequencedMap<String, Object> t : trials) {
      double lr = (double) Objects.requireNonNull(t.get("learning_rate"));
      decades[(int) Math.min(3, Math.floor(Math.log10(lr) + 5 + 1e-9))]++;
      assertThat((double) Objects.requireNonNull(t.get("dropout"))).isBetween(0.1, 0.3);
      assertThat((long) Objects.requireNonNull(t.get("warmup_steps"))).isBetween(3L, 7L);
    }
    for (int count : decades) { // 100 each; four standard deviations are 35
      assertThat(count).isBetween(65, 135);
    }
    Set<Object> grid = new HashSet<>(plan(Method.RANDOM, "lr: [1, 2, 3]\n").trials());
    assertThat(grid).hasSize(3);
    assertThat(plan(Method.RANDOM, "lr: [1, 2, 3]\n").withSamples(9, 1).trials())
        .as("no more than there are")
        .hasSize(3);
  }

  @Test
  void whatCannotBeSweptIsNamed() throws IOException {
    refused("line 2: --batch-size must be a whole number", "lr: [1]\nbatch_size: [2, x]\n");
    refused("line 1: --learning-rate has no values", "lr: []\n");
    refused("line 2: learning_rate is given twice", "lr: [1, 2]\nlearning_rate: [3]\n");
    refused("--optimizer is no number", "optimizer: uniform(0, 1)\n");
    refused("needs 0 < a < b", "lr: loguniform(0, 1)\n");
    refused("use --method random or halving", "lr: uniform(0, 1)\n");
    refused("unknown key lrr: did you mean", "lrr: [1]\n");
    assertThatThrownBy(() -> plan(Method.HALVING, "lr: [1, 2]\n"))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("needs max_steps");
    assertThatThrownBy(() -> plan(Method.RANDOM, "lr: uniform(0, 1)\n").trials())
        .isInstanceOf(InputException.class)
        .hasMessageContaining("--samples");
    SweepPlan negative = plan(Method.GRID, "lr: [0.1, -1]\n");
    assertThatThrownBy(() -> new Sweep(negative, dir.resolve("out"), line -> {}).run())
        .isInstanceOf(InputException.class)
        .hasMessageContaining("--learning-rate must be 0 or more");
    assertThat(dir.resolve("out")).doesNotExist();
  }

  private void refused(String message, String yaml) {
    assertThatThrownBy(() -> plan(Method.GRID, yaml))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(message);
  }

  @Test
  void theBestComesFirstAFailureEndsNothingAndNothingIsDoneTwice() throws IOException {
    Path out = dir.resolve("out");
    SweepPlan plan = plan(Method.GRID, common() + "lr: [0.0, 3e-3]\nfold: [1/2, 1/400]\n");
    List<String> lines = new ArrayList<>();
    Sweep sweep = new Sweep(plan, out, lines::add);
    List<Trial> trials = sweep.run();
    assertThat(trials)
        .extracting(Trial::name)
        .startsWith("trial-003", "trial-001"); // the one that learned, the one that did not
    assertThat(trials.get(0).loss()).isLessThan(trials.get(1).loss());
    assertThat(trials.get(2).failure()).contains("too few for 400 folds");
    assertThat(trials.get(3).loss()).isNull();
    assertThat(lines).hasSize(4);
    assertThat(Files.readAllLines(sweep.write(trials)))
        .first()
        .isEqualTo("rank,trial,learning_rate,fold,loss,deviation,steps,failure");
    assertThat(Files.readString(out.resolve("results.csv"))).contains("1,trial-003,0.003,1/2,");
    // Again: the same result, and no run is touched.
    Path state = out.resolve("trial-003/checkpoint-6/training_state.json");
    Object before = Files.getLastModifiedTime(state);
    assertThat(new Sweep(plan, out, line -> {}).run()).isEqualTo(trials);
    assertThat(Files.getLastModifiedTime(state)).isEqualTo(before);
    // A changed file does not go on in the directories of other runs.
    SweepPlan changed = plan(Method.GRID, common() + "lr: [1e-4, 3e-3]\nfold: 1/2\n");
    assertThat(new Sweep(changed, out, line -> {}).run().getLast().failure())
        .contains("holds another run (learning_rate 0.0 → 1.0E-4)");
  }

  @Test
  void halvingLetsTheBestGoOnWithTheBitsOfAWholeRun() throws IOException {
    Path out = dir.resolve("out");
    SweepPlan plan =
        plan(Method.HALVING, common() + "lr: [0.0, 1e-6, 1e-5, 3e-3]\n").withHalving(2, 3);
    List<String> lines = new ArrayList<>();
    List<Trial> trials = new Sweep(plan, out, lines::add).run();
    assertThat(lines).hasSize(6); // four to step 3, two to step 6
    assertThat(trials).extracting(Trial::steps).containsExactly(6L, 6L, 3L, 3L);
    Trial best = trials.getFirst();
    assertThat(best.values().get("learning_rate")).isEqualTo(0.003);
    Path whole = dir.resolve("whole");
    RunSettings alone = plan.fixed().with(best.values()).withRun(r -> r.withOutputDir(whole));
    try (Run run = Run.open(alone)) {
      run.trainer().run();
    }
    for (String file : List.of("model.safetensors", "optimizer.safetensors")) {
      assertThat(best.directory().resolve("checkpoint-6").resolve(file))
          .hasSameBinaryContentAs(whole.resolve("checkpoint-6").resolve(file));
    }
  }

  @Test
  void foldsAreRepeatedAndTheirMeanCounts() throws IOException {
    Path out = dir.resolve("out");
    List<Trial> trials =
        new Sweep(plan(Method.GRID, common() + "lr: [3e-3]\n").withFolds(3), out, line -> {}).run();
    double sum = 0;
    double squares = 0;
    for (int k = 1; k <= 3; k++) {
      Checkpoint c = new Checkpoints(out.resolve("trial-001/fold-" + k), 0).newest().orElseThrow();
      double loss = Objects.requireNonNull(c.state().bestLoss());
      sum += loss;
      squares += loss * loss;
    }
    double variance = (squares - sum * sum / 3) / 2;
    Trial trial = trials.getFirst();
    assertThat(trial.loss()).isCloseTo(sum / 3, Offset.offset(1e-12));
    assertThat(Objects.requireNonNull(trial.deviation()))
        .isCloseTo(Math.sqrt(variance), Offset.offset(1e-6))
        .isPositive();
    assertThat(trial.steps()).isEqualTo(18);
  }

  @Test
  void whatWasStoppedGoesOn() throws IOException {
    SweepPlan plan = plan(Method.GRID, common() + "lr: [3e-3, 1e-3]\n");
    List<Trial> unbroken = new Sweep(plan, dir.resolve("unbroken"), line -> {}).run();
    Path out = dir.resolve("out");
    Sweep[] sweep = new Sweep[1];
    sweep[0] = new Sweep(plan, out, line -> sweep[0].requestStop());
    sweep[0].run();
    assertThat(sweep[0].isStopped()).isTrue();
    assertThat(out.resolve("trial-002")).doesNotExist();
    List<Trial> after = new Sweep(plan, out, line -> {}).run();
    assertThat(after)
        .extracting(Trial::loss)
        .isEqualTo(unbroken.stream().map(Trial::loss).toList());
  }

  /** The run writes down where its second warm-up begins: that is no other run. */
  @Test
  void aSecondWarmUpIsFoundAgain() throws IOException {
    new Sweep(plan(Method.GRID, common()), dir.resolve("first"), line -> {}).run();
    Path weights = dir.resolve("first/trial-001/checkpoint-6");
    String yaml =
        common().replace("llama-shakespeare-cpu", weights.toString())
            + "rewarmup: true\nrewarmup_lr: [1e-4, 1e-3]\n";
    Path out = dir.resolve("out");
    List<Trial> trials = new Sweep(plan(Method.GRID, yaml), out, line -> {}).run();
    assertThat(trials).extracting(Trial::failure).containsOnlyNulls();
    assertThat(new Sweep(plan(Method.GRID, yaml), out, line -> {}).run()).isEqualTo(trials);
  }

  @Test
  void noErrorOfOneRunEndsTheOthers() throws IOException {
    Path broken = Files.createDirectories(dir.resolve("broken"));
    Files.writeString(broken.resolve("config.json"), "{");
    Path out = dir.resolve("out");
    String yaml =
        common().replace("model: llama-shakespeare-cpu\n", "")
            + "model: [%s, llama-shakespeare-cpu]\noptimizer: [none, adamw]\n".formatted(broken);
    List<Trial> trials = new Sweep(plan(Method.GRID, yaml), out, line -> {}).run();
    assertThat(trials).filteredOn(t -> t.loss() != null).hasSize(1);
    assertThat(trials.subList(1, 4)).extracting(Trial::failure).doesNotContainNull();
    // A directory that cannot be made one is an error of the file system.
    Path other = Files.createDirectories(dir.resolve("other"));
    Files.createDirectories(other.resolve("trial-001/config.yaml"));
    Files.createDirectories(other.resolve("trial-001/metrics.jsonl"));
    List<Trial> two =
        new Sweep(plan(Method.GRID, common() + "lr: [1e-4, 1e-3]\n"), other, line -> {}).run();
    assertThat(two.getFirst().loss()).isNotNull();
    assertThat(two.getLast().failure()).isNotNull();
  }

  @Test
  void damagedFilesAreRefusedInOneLine() throws IOException {
    mutate(10_000);
  }

  @Test
  @Tag("long")
  void manyDamagedFilesAreRefusedInOneLine() throws IOException {
    mutate(100_000);
  }

  private void mutate(int count) throws IOException {
    byte[] good =
        "lr: [1e-3, 3e-4]\nbatch_size: [1, 2, 8]\ndropout: uniform(0.1, 0.3)\nmax_steps: 9\nfold: [1/2, 2/2]\n"
            .getBytes(StandardCharsets.UTF_8);
    byte[] signs = "[]{}(),:\n-&*!|>'\"%@#? 0eE/".getBytes(StandardCharsets.UTF_8);
    Random random = new Random(11);
    Path file = dir.resolve("mutated.yaml");
    int read = 0;
    for (int i = 0; i < count; i++) {
      byte[] bytes =
          Arrays.copyOf(
              good, random.nextInt(4) == 0 ? random.nextInt(good.length) + 1 : good.length);
      for (int n = random.nextInt(4); n >= 0; n--) {
        int at = random.nextInt(bytes.length);
        bytes[at] =
            random.nextBoolean() ? signs[random.nextInt(signs.length)] : (byte) random.nextInt();
      }
      Files.write(file, bytes);
      try {
        SweepPlan.read(file, Map.of(), Method.RANDOM).withSamples(3, 1).trials();
        read++;
      } catch (InputException e) {
        assertThat(e.getMessage()).as(new String(bytes, StandardCharsets.ISO_8859_1)).isNotBlank();
      }
    }
    assertThat(read).isBetween(1, count - 1); // neither all nor none are damaged
  }
}
