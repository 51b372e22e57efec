package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.nn.Precision;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.average.Ema;
import dev.javelin.train.checkpoint.Checkpoint;
import dev.javelin.train.checkpoint.Keep;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.Order;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.data.Windows;
import dev.javelin.train.hook.StepHook;
import dev.javelin.train.monitor.MetricsFile;
import dev.javelin.train.monitor.StepMetrics;
import dev.javelin.train.objective.NextToken;
import dev.javelin.train.run.RunDirectory;
import dev.javelin.train.schedule.Schedule;
import dev.javelin.train.settings.RunSettings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Moving averages and means of checkpoints against plain sums in double; what they are good for.
 */
class AverageTest {
  private static final double DECAY = 0.9;

  @TempDir Path dir;

  private static Training training(LanguageModel model, int steps) {
    Windows windows =
        new Windows(
            TokenSource.of("pattern", TinyModels.ids(500)), TinyModels.SEQ_LEN, TinyModels.VOCAB);
    return Training.of(
            model.parameters(),
            new NextToken(model.transformer()),
            BatchSource.endless(windows, Order.sequential()))
        .batch(2)
        .schedule(new Schedule.Constant(1e-2, 0))
        .logEvery(1)
        .steps(steps)
        .model("tiny", model::save, model::restore);
  }

  /** The same average, in double, on the host. */
  private static final class Oracle implements StepHook {
    private final LanguageModel model;
    private final List<double[]> average = new ArrayList<>();
    private long t;

    Oracle(LanguageModel model) {
      this.model = model;
      for (Parameter p : model.parameters().named().values()) {
        average.add(doubles(p));
      }
    }

    private double[] doubles(Parameter p) {
      float[] values = model.parameters().values(p);
      double[] doubles = new double[values.length];
      for (int i = 0; i < values.length; i++) {
        doubles[i] = values[i];
      }
      return doubles;
    }

    @Override
    public String name() {
      return "oracle";
    }

    @Override
    public void updated(StepState state) {
      double d = Math.min(DECAY, (1.0 + t) / (10.0 + t));
      t++;
      int n = 0;
      for (Parameter p : model.parameters().named().values()) {
        double[] w = doubles(p);
        double[] ema = average.get(n++);
        for (int i = 0; i < w.length; i++) {
          ema[i] = d * ema[i] + (1 - d) * w[i];
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"fp32", "bf16", "fp16"})
  void followsItsFormula(String precision) throws IOException {
    try (Cpu cpu = Cpu.open(2)) {
      followsItsFormula(cpu, Precision.named(precision));
    }
  }

  @RequiresCuda
  @ParameterizedTest
  @ValueSource(strings = {"fp32", "bf16"})
  void followsItsFormulaOnAGpu(String precision) throws IOException {
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      followsItsFormula(cuda, Precision.named(precision));
    }
  }

  private void followsItsFormula(Device device, Precision precision) throws IOException {
    try (LanguageModel model = TinyModels.model(device, TinyModels.llama(), precision);
        RunDirectory run = RunDirectory.claim(dir.resolve("run"))) {
      Oracle oracle = new Oracle(model);
      try (Trainer trainer =
          training(model, 20)
              .hook((p, rule) -> new Ema(p, DECAY))
              .hook((p, rule) -> oracle)
              .trainer()
              .into(run)) {
        trainer.run();
      }
      Path checkpoint = run.path().resolve("checkpoint-20");
      try (LanguageModel ema = CheckpointAverage.ema(device, checkpoint, Precision.FP32)) {
        int n = 0;
        for (Parameter p : ema.parameters().named().values()) {
          float[] values = ema.parameters().values(p);
          double[] expected = oracle.average.get(n++);
          for (int i = 0; i < values.length; i++) {
            assertThat((double) values[i])
                .isCloseTo(expected[i], within(1e-6 * (1 + Math.abs(expected[i]))));
          }
        }
      }
    }
  }

  private static Offset<Double> within(double offset) {
    return Offset.offset(offset);
  }

  @Test
  void goesOnAfterAResumeBitForBit() throws IOException {
    try (Cpu cpu = Cpu.open(1)) {
      byte[] unbroken = emaOf(cpu, "unbroken", 12, 12);
      assertThat(emaOf(cpu, "broken", 5, 12)).isEqualTo(unbroken);
      assertThat(emaOf(cpu, "shorter", 11, 11)).isNotEqualTo(unbroken);
    }
  }

  private byte[] emaOf(Cpu cpu, String name, int first, int steps) throws IOException {
    try (RunDirectory run = RunDirectory.claim(dir.resolve(name))) {
      try (LanguageModel model = TinyModels.model(cpu, TinyModels.llama(), Precision.BF16);
          Trainer trainer =
              training(model, first).hook((p, o) -> new Ema(p, DECAY)).trainer().into(run)) {
        trainer.run();
      }
      if (first < steps) {
        Checkpoint from = Objects.requireNonNull(run.start("auto", damaged -> {}));
        try (LanguageModel model = TinyModels.model(cpu, TinyModels.llama(), Precision.BF16);
            Trainer trainer =
                training(model, steps).hook((p, o) -> new Ema(p, DECAY)).trainer().into(run)) {
          model.restore(from.directory());
          trainer.resume(from);
          trainer.run();
        }
      }
      return Files.readAllBytes(run.path().resolve("checkpoint-" + steps).resolve(Ema.FILE));
    }
  }

  @Test
  void aCheckpointWithoutOneIsNamed() throws IOException {
    try (Cpu cpu = Cpu.open(1);
        RunDirectory run = RunDirectory.claim(dir.resolve("run"));
        LanguageModel model = TinyModels.model(cpu, TinyModels.llama(), Precision.FP32)) {
      try (Trainer trainer = training(model, 2).trainer().into(run)) {
        trainer.run();
      }
      Checkpoint plain = Objects.requireNonNull(run.start("auto", damaged -> {}));
      try (Trainer trainer = training(model, 4).hook((p, o) -> new Ema(p, DECAY)).trainer()) {
        assertThatThrownBy(() -> trainer.resume(plain))
            .isInstanceOf(FileFormatException.class)
            .hasMessageContaining("resume without --ema-decay");
      }
      assertThatThrownBy(() -> CheckpointAverage.ema(cpu, plain.directory(), Precision.FP32))
          .isInstanceOf(FileFormatException.class)
          .hasMessageContaining("--ema-decay 0.999");
    }
  }

  /**
   * A large constant rate lets the weights jump about a minimum; their averages lie nearer to it.
   */
  @Test
  void averagesLieBelowTheWeightsOfANoisyRun() throws IOException {
    Path text = dir.resolve("text.txt");
    Files.writeString(text, words(1500));
    Path out = dir.resolve("out");
    RunSettings settings =
        RunSettings.DEFAULT.with(
            Map.ofEntries(
                Map.entry("data", text.toString()),
                Map.entry("tokenizer", "char"),
                Map.entry("model", "llama-shakespeare-cpu"),
                Map.entry("seq_len", "16"),
                Map.entry("batch_size", "2"),
                Map.entry("max_steps", "120"),
                Map.entry("learning_rate", "0.01"),
                Map.entry("lr_scheduler", "constant"),
                Map.entry("warmup_steps", "10"),
                Map.entry("eval_every", "20"),
                Map.entry("save_every", "5"),
                Map.entry("keep", "0"),
                Map.entry("logging_steps", "20"),
                Map.entry("ema_decay", "0.97"),
                Map.entry("average_checkpoints", "10"),
                Map.entry("device", "cpu"),
                Map.entry("output_dir", out.toString())));
    double trained;
    try (Run run = Run.open(settings)) {
      trained = Objects.requireNonNull(run.trainer().run().evaluation()).loss();
      StepMetrics last = MetricsFile.read(run.directory().metrics()).getLast();
      assertThat(last.more().get("ema_eval_loss")).isLessThan(trained);
      assertThat(Objects.requireNonNull(last.evalLoss())).isEqualTo(trained);
      assertThat(run.average()).isEqualTo(out.resolve("average"));
    }
    assertThat(validation(settings, out.resolve("average"), "a")).isLessThan(trained);
    Path ema = dir.resolve("ema");
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model =
            CheckpointAverage.ema(cpu, out.resolve("checkpoint-120"), Precision.FP32)) {
      model.save(ema);
    }
    StepMetrics last = MetricsFile.read(out.resolve("metrics.jsonl")).getLast();
    assertThat(validation(settings, ema, "b"))
        .isCloseTo(Objects.requireNonNull(last.more().get("ema_eval_loss")), within(1e-6));
  }

  /** Words in an order that cannot be learned, so that gradients stay noisy. */
  private static String words(int count) {
    String[] words = "the a sea hill river went came sang over under old new bird stone".split(" ");
    Random random = new Random(7);
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < count; i++) {
      text.append(words[random.nextInt(words.length)]).append(i % 9 == 8 ? ".\n" : " ");
    }
    return text.toString();
  }

  /** The loss of a model's first evaluation, in a run that moves nothing. */
  private double validation(RunSettings settings, Path model, String name) throws IOException {
    RunSettings still =
        settings
            .withModel(m -> m.withModel(model.toString()).withTokenizer(null))
            .withAverage(a -> a.withEmaDecay(null).withAverageCheckpoints(0))
            .withSchedule(s -> s.withLearningRate(0.0))
            .withOptimizer(o -> o.withWeightDecay(0))
            .withRun(r -> r.withMaxSteps(1).withOutputDir(dir.resolve(name)));
    try (Run run = Run.open(still)) {
      return Objects.requireNonNull(run.trainer().run().evaluation()).loss();
    }
  }

  @Test
  void theMeanOfCheckpointsIsTheirSumDividedAndOfOneItself() throws IOException {
    try (Cpu cpu = Cpu.open(1);
        RunDirectory run = RunDirectory.claim(dir.resolve("run"));
        LanguageModel model = TinyModels.model(cpu, TinyModels.llama(), Precision.BF16)) {
      run.describe("", Keep.ALL, null, Map.of());
      try (Trainer trainer = training(model, 6).saveEvery(2).trainer().into(run)) {
        trainer.run();
      }
      List<Path> all = new ArrayList<>();
      List<LanguageModel> each = new ArrayList<>();
      for (int step : new int[] {2, 4, 6}) {
        all.add(run.path().resolve("checkpoint-" + step));
        each.add(LanguageModel.load(cpu, all.getLast()));
      }
      try (LanguageModel mean = CheckpointAverage.of(cpu, all, Precision.FP32);
          LanguageModel one = CheckpointAverage.of(cpu, all.subList(1, 2), Precision.FP32)) {
        for (Parameter p : mean.parameters().named().values()) {
          float[] values = mean.parameters().values(p);
          List<float[]> parts = new ArrayList<>();
          for (LanguageModel m : each) {
            parts.add(m.parameters().values(m.parameters().get(p.name())));
          }
          for (int i = 0; i < values.length; i++) {
            double sum = 0;
            for (float[] part : parts) {
              sum += part[i];
            }
            assertThat(values[i]).isEqualTo((float) (sum / 3));
          }
          assertThat(one.parameters().values(one.parameters().get(p.name())))
              .isEqualTo(parts.get(1));
        }
      }
      each.forEach(LanguageModel::close);
      Path other = dir.resolve("other");
      try (LanguageModel gpt = TinyModels.model(cpu, TinyModels.gpt2(), Precision.FP32)) {
        gpt.save(other);
      }
      assertThatThrownBy(
              () -> CheckpointAverage.of(cpu, List.of(all.getFirst(), other), Precision.FP32))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("holds another model");
    }
  }

  @Test
  void moreCheckpointsThanAreKeptAreRefused() {
    RunSettings settings =
        RunSettings.DEFAULT.with(
            Map.of("average_checkpoints", "5", "output_dir", dir.resolve("x").toString()));
    assertThatThrownBy(() -> Run.open(settings))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("use --keep 5, or 0 for all");
  }
}
