package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Precision;
import dev.javelin.nn.adapter.Adapters;
import dev.javelin.nn.adapter.LoraConfig;
import dev.javelin.nn.family.Llama;
import dev.javelin.train.inference.Inference;
import dev.javelin.train.inference.Sampler;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Copies of models, on the device and on another. */
class ModelCopyTest {
  private final Cpu cpu = Cpu.open(1);

  @AfterEach
  void close() {
    cpu.close();
  }

  private static List<Integer> written(LanguageModel model) {
    List<Integer> ids = new ArrayList<>();
    try (Inference inference = model.inference()) {
      inference.tokens(new int[] {1, 2}, 5, Sampler.GREEDY, ids::add);
    }
    return ids;
  }

  private static List<float[]> values(LanguageModel model) {
    return model.parameters().named().values().stream().map(p -> p.value().toFloats()).toList();
  }

  @ParameterizedTest
  @ValueSource(strings = {"fp32", "bf16"})
  void aCopyHasTheBitsOfItsMomentOnAnyDevice(String precision) {
    Precision numbers = Precision.named(precision);
    try (Cpu other = Cpu.open(1);
        LanguageModel model = TinyModels.model(cpu, TinyModels.llama(), numbers);
        LanguageModel there = model.copy(other);
        LanguageModel here = model.copy(cpu)) {
      List<float[]> before = values(model);
      List<Integer> text = written(model);
      assertThat(there.parameters().flats()).as("nothing to train").isEmpty();
      assertThat(values(there)).containsExactlyElementsOf(before);
      assertThat(written(there)).isEqualTo(text);
      model.parameters().put(model.parameters().get("norm.weight"), 0, new float[] {7}, 1);
      assertThat(values(here)).as("one's own memory").containsExactlyElementsOf(before);
      here.copyFrom(model);
      assertThat(values(here)).containsExactlyElementsOf(values(model));
      assertThat(values(here)).isNotEqualTo(before);
    }
  }

  @Test
  void whatDoesNotFitIsRefused() {
    try (LanguageModel model = TinyModels.model(cpu, TinyModels.llama(), Precision.FP32);
        LanguageModel wider =
            LanguageModel.create(
                cpu,
                Llama.config(TinyModels.VOCAB, 2, 4, 2, 64, 48, TinyModels.SEQ_LEN),
                Precision.FP32,
                Grouping.frozen(),
                1,
                null)) {
      assertThatThrownBy(() -> model.copyFrom(wider))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("copyFrom");
      LanguageModel adapted =
          wider.with(
              Adapters.create(
                  wider.parameters(),
                  Precision.FP32,
                  LoraConfig.of(2),
                  Grouping.decayMatrices(0),
                  1,
                  1));
      assertThatThrownBy(() -> adapted.copy(cpu))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("merged()");
      assertThatThrownBy(() -> wider.copyFrom(adapted)).isInstanceOf(IllegalStateException.class);
      Objects.requireNonNull(adapted.adaptation()).parameters().close();
    }
  }
}
