package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Cpu;
import dev.javelin.nn.Precision;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.train.settings.RunSettings;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Arithmetic of a token against the sizes of the matrices, written out. */
class FlopsTest {
  @TempDir Path dir;

  @Test
  void aLlamasMatricesCountSixTimesAndItsAttentionByLength() {
    TransformerConfig c = TinyModels.llama();
    long h = c.hidden();
    long q = (long) c.heads() * c.headDim();
    long kv = (long) c.kvHeads() * c.headDim();
    long block = h * (q + 2 * kv) + q * h + 3 * h * c.ffn();
    long head = c.vocab() * h; // its own, or the embedding's: one product in either case
    for (int seqLen : new int[] {8, 31}) {
      double attention = 12.0 * c.layers() * q * seqLen;
      try (Cpu cpu = Cpu.open(1);
          LanguageModel model = TinyModels.model(cpu, c, Precision.FP32)) {
        assertThat(model.flopsPerToken(seqLen))
            .isEqualTo(6.0 * (c.layers() * block + head) + attention);
      }
    }
  }

  @Test
  void aTiedHeadCountsOnceAndPositionsNot() {
    TransformerConfig c = TinyModels.gpt2();
    assertThat(c.tied()).isTrue();
    long h = c.hidden();
    long block = 4 * h * h + 2 * h * c.ffn();
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = TinyModels.model(cpu, c, Precision.FP32)) {
      assertThat(model.flopsPerToken(8))
          .isEqualTo(6.0 * (c.layers() * block + c.vocab() * h) + 12.0 * c.layers() * h * 8);
    }
  }

  @Test
  void aFrozenBaseCountsFourTimesAndItsAdaptersSix() {
    Path base = dir.resolve("base");
    double trained;
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = TinyModels.model(cpu, TinyModels.llama(), Precision.FP32)) {
      trained = model.flopsPerToken(8);
      model.save(base);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    RunSettings settings =
        RunSettings.DEFAULT.with(
            Map.of(
                "model",
                base.toString(),
                "lora",
                "2",
                "tokenizer",
                "byte",
                "seq_len",
                "8",
                "device",
                "cpu",
                "output_dir",
                dir.resolve("out").toString()));
    TransformerConfig c = TinyModels.llama();
    double attention = 12.0 * c.layers() * c.heads() * c.headDim() * 8;
    try (Cpu cpu = Cpu.open(1);
        LanguageModel plain = LanguageModel.load(cpu, base);
        LanguageModel adapted =
            plain.with(
                Adaptation.open(
                    plain.parameters(),
                    Precision.FP32,
                    settings.adapter(),
                    settings.optimizer(),
                    1,
                    base,
                    null))) {
      long adapters = adapted.trained().size();
      assertThat(adapted.flopsPerToken(8))
          .isEqualTo((trained - attention) * 4 / 6 + attention + 6.0 * adapters);
    }
  }
}
