package dev.javelin.nn.family;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.nn.RopeConfig;
import dev.javelin.nn.TransformerConfig;
import org.junit.jupiter.api.Test;

class PresetsTest {
  @Test
  void holdsTheNamedShapes() {
    assertThat(Presets.all().keySet())
        .containsExactly(
            "llama-small",
            "gpt2-124m",
            "llama-124m",
            "llama-350m",
            "llama-1b",
            "gpt2-shakespeare-cpu",
            "llama-shakespeare-cpu",
            "gpt2-shakespeare",
            "llama-shakespeare");
    TransformerConfig big = Presets.named("llama-1b");
    assertThat(big.kvHeads()).isEqualTo(4);
    assertThat(big.headDim()).isEqualTo(64);
    assertThat(big.tied()).isTrue();
    assertThat(big.rope()).isEqualTo(RopeConfig.of(10_000));
    assertThat(Presets.named("gpt2-124m").ffn()).isEqualTo(3072);
  }

  @Test
  void namesThePresetsThereAreForOneThatIsNot() {
    assertThatThrownBy(() -> Presets.named("gpt3"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContainingAll("gpt3", "gpt2-124m", "llama-shakespeare");
  }
}
