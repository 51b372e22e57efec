package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.family.Gpt2;
import dev.javelin.nn.family.Llama;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.data.InputException;
import dev.javelin.train.inference.Sampler;
import dev.javelin.train.monitor.Watcher;
import dev.javelin.train.settings.AdapterSpec;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.settings.ScheduleSpec;
import dev.javelin.train.tokenizer.ByteTokenizer;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Runs that train adapters beside a model that stays as it is. */
class AdapterRunTest {
  private static final int LENGTH = 16;

  @TempDir Path dir;

  private Path base(TransformerConfig config) throws IOException {
    Path base = dir.resolve("base");
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model =
            LanguageModel.create(
                cpu, config, Precision.FP32, Grouping.frozen(), 7, new ByteTokenizer())) {
      model.save(base);
    }
    return base;
  }

  private static TransformerConfig llama() {
    return Llama.config(new ByteTokenizer().vocabSize(), 2, 4, 2, 32, 48, LENGTH);
  }

  private RunSettings settings(Path base, String run, UnaryOperator<AdapterSpec> adapter)
      throws IOException {
    Path text = Files.writeString(dir.resolve("t.txt"), "the zindle sings. ".repeat(60));
    return RunSettings.DEFAULT
        .withModel(m -> m.withModel(base.toString()))
        .withData(d -> d.withData(List.of(text)))
        .withBatch(b -> b.withSeqLen(LENGTH).withBatchSize(2))
        .withSchedule(s -> s.withLearningRate(1e-2))
        .withDevice(d -> d.withDevice("cpu").withThreads(1))
        .withRun(
            r ->
                r.withMaxSteps(6).withEvalEvery(0).withSaveEvery(3).withOutputDir(dir.resolve(run)))
        .withAdapter(adapter);
  }

  private static void run(RunSettings settings) throws IOException {
    try (Run run = Run.open(settings)) {
      run.trainer().run();
    }
  }

  private static Map<String, byte[]> files(Path directory) throws IOException {
    Map<String, byte[]> files = new TreeMap<>();
    try (Stream<Path> list = Files.list(directory)) {
      for (Path file : list.toList()) {
        files.put(file.getFileName().toString(), Files.readAllBytes(file));
      }
    }
    return files;
  }

  @Test
  void aCheckpointHoldsTheAdapterAloneAndTheBaseStaysAsItIs() throws IOException {
    Path base = base(llama());
    Map<String, byte[]> before = files(base);
    try (Run run = Run.open(settings(base, "run", a -> a.withLora(2)))) {
      float[] weights = run.model().parameters().get("blocks.1.attn.qkv.weight").value().toFloats();
      run.trainer().run();
      assertThat(run.model().parameters().get("blocks.1.attn.qkv.weight").value().toFloats())
          .isEqualTo(weights);
      assertThat(run.model().parameters().flats()).as("no gradients of the base").isEmpty();
      assertThat(run.notes()).anyMatch(n -> n.contains("LoRA of rank 2, alpha 4.0 on 14 layers"));
    }
    assertThat(files(base)).usingRecursiveComparison().isEqualTo(before);
    assertThat(files(dir.resolve("run/last")).keySet())
        .contains("adapter_config.json", "adapter_model.safetensors", "optimizer.safetensors")
        .doesNotContain("model.safetensors", "config.json");
  }

  /** Dropout, patterns, whole modules and a tied head, in both precisions and all kinds. */
  @ParameterizedTest
  @CsvSource({
    "fp32,false,",
    "bf16,false,'embed_tokens,lm_head'",
    "fp32,true,norm",
    "bf16,true,'embed_tokens'"
  })
  void aResumedRunIsTheSameBitForBit(String precision, boolean dora, String whole)
      throws IOException {
    Path base = base(llama());
    RunSettings settings =
        settings(
                base,
                "whole",
                a ->
                    a.withLora(3)
                        .withLoraDropout(0.2)
                        .withDora(dora)
                        .withRslora(!dora)
                        .withLoraPlusRatio(4)
                        .withLoraRankPattern("q_proj=2")
                        .withModulesToSave(whole))
            .withDevice(d -> d.withPrecision(Precision.named(precision)));
    run(settings);
    Path first = dir.resolve("part");
    RunSettings half = settings.withRun(r -> r.withOutputDir(first));
    try (Run run = Run.open(half)) {
      run.trainer().watch(new StopAfter(run.trainer(), 3));
      run.trainer().run();
    }
    run(half.withRun(r -> r.withResume("auto")));
    for (String file : List.of("adapter_model.safetensors", "optimizer.safetensors")) {
      assertThat(Files.readAllBytes(first.resolve("checkpoint-6").resolve(file)))
          .as(file)
          .isEqualTo(Files.readAllBytes(dir.resolve("whole/checkpoint-6").resolve(file)));
    }
  }

  private record StopAfter(Trainer trainer, long step) implements Watcher {
    @Override
    public void advanced(long done) {
      if (done == step) {
        trainer.requestStop();
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"llama,false,", "llama,true,'embed_tokens'", "gpt2,false,lm_head", "gpt2,true,"})
  void baseAndAdapterComputeWhatTheMergedModelDoes(String family, boolean dora, String whole)
      throws IOException {
    Path base =
        base(
            family.equals("llama")
                ? llama()
                : Gpt2.config(new ByteTokenizer().vocabSize(), 2, 4, 32, LENGTH));
    run(settings(base, "run", a -> a.withLora(2).withDora(dora).withModulesToSave(whole)));
    Path adapter = dir.resolve("run/last");
    try (Cpu cpu = Cpu.open(1);
        LanguageModel plain = LanguageModel.load(cpu, base);
        LanguageModel adapted = LanguageModel.load(cpu, adapter);
        LanguageModel beside = plain.withAdapter(adapter);
        LanguageModel merged = adapted.merged(Precision.FP32)) {
      merged.save(dir.resolve("merged"));
      float[] wanted = logits(adapted);
      assertThat(logits(beside)).isEqualTo(wanted);
      assertThat(logits(plain)).isNotEqualTo(wanted);
      try (LanguageModel written = LanguageModel.load(cpu, dir.resolve("merged"))) {
        float[] got = logits(written);
        for (int i = 0; i < wanted.length; i++) {
          assertThat(got[i]).isCloseTo(wanted[i], within(2e-5f));
        }
      }
      Sampler sampler = new Sampler(0, 0, 1, 1);
      assertThat(merged.generate("the z", 8, sampler))
          .isEqualTo(adapted.generate("the z", 8, sampler))
          .isEqualTo(beside.generate("the z", 8, sampler));
    }
  }

  private static float[] logits(LanguageModel model) {
    try (var workspace = Workspace.on(model.device())) {
      var ids = workspace.alloc(DType.I32, Shape.of(1, 5));
      ids.fromHost(MemorySegment.ofArray(new int[] {10, 97, 104, 32, 115}));
      return model.transformer().forward(Tape.inference(workspace), ids).value().toFloats();
    }
  }

  /** B moves ratio times as far in the first step of Adam as without. */
  @Test
  void theRatioOfLoraPlusIsOnTheRateOfEachB() throws IOException {
    Path base = base(llama());
    float[][] up = new float[2][];
    float[][] down = new float[2][];
    for (int i = 0; i < 2; i++) {
      int n = i;
      RunSettings settings =
          settings(base, "run" + i, a -> a.withLora(2).withLoraPlusRatio(n == 0 ? 1 : 4))
              .withRun(r -> r.withMaxSteps(1))
              .withOptimizer(o -> o.withWeightDecay(0))
              .withSchedule(
                  s -> s.withLrScheduler(ScheduleSpec.LrScheduler.CONSTANT).withWarmupSteps(0));
      try (Run run = Run.open(settings)) {
        run.trainer().run();
        ParameterBuffer<?> adapters = run.model().trained();
        up[i] = values(adapters, ".up");
        down[i] = values(adapters, ".down");
      }
    }
    assertThat(down[1]).isEqualTo(down[0]);
    for (int i = 0; i < up[0].length; i++) {
      assertThat(up[1][i]).isCloseTo(4 * up[0][i], within(1e-6f));
      assertThat(Math.abs(up[0][i])).isCloseTo(1e-2f, within(1e-3f));
    }
  }

  private static float[] values(ParameterBuffer<?> buffer, String end) {
    Parameter p =
        buffer.named().values().stream().filter(q -> q.name().endsWith(end)).findFirst().get();
    return p.value().toFloats();
  }

  @Test
  void anAdapterIsGoneOnFrom() throws IOException {
    Path base = base(llama());
    run(settings(base, "first", a -> a.withLora(2).withLoraTargets("q_proj,v_proj")));
    Path adapter = dir.resolve("first/last");
    try (Run run = Run.open(settings(base, "second", a -> a.withAdapter(adapter)))) {
      assertThat(run.model().trained().size()).isEqualTo(2 * (2 * (32 + 32) + 2 * (32 + 16)));
      run.trainer().run();
    }
    assertThat(Files.readString(dir.resolve("second/last/adapter_config.json")))
        .contains("\"target_modules\": [\"q_proj\", \"v_proj\"]");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "lora_targets=q_proj,w_proj | no linear layer called w_proj; it has q_proj, k_proj",
        "lora_targets=.*nothing | no linear layer of the model is meant by the targets",
        "lora_targets=( | --lora: is no regular expression",
        "lora_targets=lm_head | lm_head is meant by the targets and gets no adapter",
        "modules_to_save=q_proj | is a part of a packed projection",
        "modules_to_save=o_proj | is adapted and trained whole",
        "modules_to_save=score | no module whose name ends in score",
        "lora_rank_pattern=q_proj | --lora-rank-pattern must be of the form q_proj=4,v_proj=8",
        "lora_rank_pattern=q_proj=x | --lora-rank-pattern must be of the form",
      })
  void whatDoesNotFitIsRefusedInALine(String setting, String message) throws IOException {
    RunSettings settings = settings(base(llama()), "run", a -> a.withLora(2));
    int equals = setting.indexOf('=');
    assertThatThrownBy(
            () ->
                Run.open(
                    settings.with(
                        Map.of(setting.substring(0, equals), setting.substring(equals + 1)))))
        .isInstanceOf(InputException.class)
        .hasMessageContaining(message);
  }

  @Test
  void adaptersNeedWeightsAndARank() throws IOException {
    Path base = base(llama());
    RunSettings settings = settings(base, "run", a -> a.withLora(2));
    assertThatThrownBy(() -> Run.open(settings.withModel(m -> m.withModel("llama-small"))))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("llama-small has none: name a directory with weights by --model");
    assertThatThrownBy(
            () -> Run.open(settings.withAdapter(a -> AdapterSpec.DEFAULT.withDora(true))))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("--lora R adds one");
    assertThatThrownBy(() -> Run.open(settings.withAdapter(a -> a.withAdapter(base))))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("leave out --lora");
    run(settings);
    assertThatThrownBy(
            () ->
                Run.open(
                    settings.withAdapter(a -> a.withLora(4)).withRun(r -> r.withResume("auto"))))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("LoRA of rank 2")
        .hasMessageContaining("LoRA of rank 4");
    assertThatThrownBy(
            () ->
                Run.open(
                    settings
                        .withAdapter(a -> a.withLoraTargets("q_proj"))
                        .withRun(r -> r.withResume("auto"))))
        .isInstanceOf(FileFormatException.class);
  }

  @Test
  void theRateOfAdaptersIsAnotherWhereNoneIsGiven() {
    RunSettings on = RunSettings.DEFAULT.withAdapter(a -> a.withLora(8));
    assertThat(on.effective().schedule().learningRate()).isEqualTo(2e-4);
    assertThat(RunSettings.DEFAULT.effective().schedule().learningRate()).isEqualTo(1e-3);
    assertThat(on.withSchedule(s -> s.withLearningRate(3e-3)).effective().schedule().learningRate())
        .isEqualTo(3e-3);
  }
}
