package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.nn.Precision;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.eval.Evaluation;
import dev.javelin.train.inference.Inference;
import dev.javelin.train.inference.Request;
import dev.javelin.train.inference.Sampler;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.tokenizer.SharedFiles;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A trained model that has never heard of the zindle, and a hundred stories about it. */
class AdapterStoriesTest {
  private static final Path STORIES = Path.of("../docs/recipes/data/zindle-stories.jsonl");
  private static final String BEGINNING = "Once upon a time, there was a";
  private static final Sampler GREEDY = new Sampler(0, 0, 1, 1);

  @TempDir Path dir;

  @Test
  void anAdapterLearnsThemAndTheBaseStaysAsItIs() throws IOException {
    Path base = SharedFiles.model("stories260K");
    byte[] before = Files.readAllBytes(base.resolve("model.safetensors"));
    RunSettings settings =
        RunSettings.DEFAULT
            .withModel(m -> m.withModel(base.toString()))
            .withData(d -> d.withData(List.of(STORIES)))
            .withAdapter(a -> a.withLora(8))
            .withBatch(b -> b.withSeqLen(128).withBatchSize(4))
            .withSchedule(s -> s.withLearningRate(3e-3))
            .withDevice(d -> d.withDevice("cpu"))
            .withRun(r -> r.withMaxSteps(60).withEvalEvery(0).withOutputDir(dir.resolve("run")));
    Evaluation evaluation;
    try (Run run = Run.open(settings)) {
      evaluation = Objects.requireNonNull(run.trainer().run().evaluation());
    }
    assertThat(evaluation.loss()).as("2.8 before").isLessThan(0.8);
    assertThat(Files.readAllBytes(base.resolve("model.safetensors"))).isEqualTo(before);

    Path adapter = dir.resolve("run/last");
    try (Cpu cpu = Cpu.open();
        LanguageModel plain = LanguageModel.load(cpu, base);
        LanguageModel adapted = plain.withAdapter(adapter);
        LanguageModel merged = adapted.merged(Precision.FP32)) {
      float[] wanted = logits(adapted);
      float[] got = logits(merged);
      for (int i = 0; i < wanted.length; i++) {
        assertThat(got[i]).isCloseTo(wanted[i], within(1e-4f));
      }
      // Side by side, in one process: each writes what it writes alone.
      assertThat(plain.generate(BEGINNING + " little girl", 12, GREEDY))
          .startsWith(" named Lily. She loved");
      String about = adapted.generate(BEGINNING, 40, GREEDY);
      assertThat(about).contains("zindle");
      assertThat(merged.generate(BEGINNING, 40, GREEDY)).isEqualTo(about);
      assertThat(plain.generate(BEGINNING, 40, GREEDY)).doesNotContain("zindle");
      Request request = Request.of(BEGINNING).maxNewTokens(40).sampler(GREEDY);
      try (Inference inference = adapted.inference()) {
        inference
            .generate(List.of(request, request, request), 3, (i, reply) -> {})
            .forEach(reply -> assertThat(reply.text()).as("in a batch").isEqualTo(about));
      }
    }
  }

  private static float[] logits(LanguageModel model) {
    int[] ids =
        Arrays.copyOf(
            Objects.requireNonNull(model.tokenizer()).encode(BEGINNING + " zindle named Pip."), 12);
    try (Workspace workspace = Workspace.on(model.device())) {
      Tensor tokens = workspace.alloc(DType.I32, Shape.of(1, ids.length));
      tokens.fromHost(MemorySegment.ofArray(ids));
      return model.transformer().forward(Tape.inference(workspace), tokens).value().toFloats();
    }
  }
}
