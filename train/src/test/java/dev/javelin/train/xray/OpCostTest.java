package dev.javelin.train.xray;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.Cpu;
import dev.javelin.nn.Precision;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.family.Gpt2;
import dev.javelin.nn.family.Llama;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.xray.Xray.Op;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class OpCostTest {
  private static final int T = 7;
  private static final int C = 32;
  private static final int[] IDS = {1, 2, 3, 4, 5, 6, 7};

  private static Xray xray(TransformerConfig config) {
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = XrayFixture.model(cpu, config, Precision.FP32)) {
      return XrayFixture.step(model).on(IDS);
    }
  }

  /**
   * Numbers by hand, with T 7, C 32, 4 heads of 8 over 2 key heads, F 48, V 31; 28 pairs of a query
   * and a key.
   */
  @ParameterizedTest
  @CsvSource({
    // what, forward FLOPs, backward FLOPs, forward bytes, backward bytes
    "0, embedding,            0,     224,   1792,  2688",
    "1, rms_norm,           896,    2016,   1920,  3072",
    "2, linear,           28672,   57344,  10880, 28160",
    "3, qk_rope,           1008,    1008,   2688,  2688",
    "4, attention,         3584,    7168,   2688,  4480",
    "5, linear,           14336,   28672,   5888, 14976",
    "6, add_rms_norm,      1120,    2240,   3712,  5760",
    "7, linear,           43008,   86016,  15872, 41344",
    "8, glu,               1680,    3696,   4032,  6720",
    "9, linear,           21504,   43008,   8384, 22016",
    "20, linear_cross_entropy, 41664,  0,  13700,     0"
  })
  void costsAreThoseOfTheDefinition(
      int index, String name, double forward, double backward, double read, double readBack) {
    Op op = LLAMA.tape().get(index);
    assertThat(op.name()).isEqualTo(name);
    assertThat(op.forward().flops()).isEqualTo(forward);
    assertThat(op.backward().flops()).isEqualTo(backward);
    assertThat(op.forward().bytes()).isEqualTo(read);
    assertThat(op.backward().bytes()).isEqualTo(readBack);
  }

  private static final Xray LLAMA = xray(Llama.config(31, 2, 4, 2, C, 48, 16));

  @Test
  void biasesPositionsAndLayerNorms() {
    Xray x = xray(Gpt2.config(31, 1, 4, C, 16));
    Op embedding = x.tape().getFirst();
    assertThat(embedding.forward().flops()).isEqualTo(T * C);
    assertThat(embedding.backward().flops()).isEqualTo(2 * T * C);
    assertThat(embedding.forward().bytes()).isEqualTo(3 * 4 * T * C);
    Op norm = x.tape().get(1);
    assertThat(norm.name()).isEqualTo("layer_norm");
    assertThat(norm.forward().flops()).isEqualTo(7 * T * C);
    assertThat(norm.backward().flops()).isEqualTo(12 * T * C);
    Op linear = x.tape().get(2);
    assertThat(linear.forward().flops()).isEqualTo(2 * T * C * 3 * C);
    assertThat(linear.backward().flops()).isEqualTo(4 * T * C * 3 * C + T * 3 * C);
  }

  /** Products add up to what a training's summary counts, but for keys that are not seen. */
  @ParameterizedTest
  @CsvSource({"true", "false"})
  void productsAddUpToTheFlopsOfTheSummary(boolean tied) {
    TransformerConfig config =
        Llama.config(31, 3, 4, 2, C, 48, 16)
            .with(b -> b.tied(tied).attention(windowed(b.build().attention())));
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = XrayFixture.model(cpu, config, Precision.FP32)) {
      double sum = 0;
      Set<String> products = Set.of("linear", "attention", "linear_cross_entropy");
      for (Op op : XrayFixture.step(model).on(IDS).tape()) {
        if (products.contains(op.name())) {
          sum += op.forward().flops() + op.backward().flops();
        }
      }
      double pairs = 1 + 2 + 3 * 5; // a window of 3
      double unseen = 12.0 * 3 * C * (T * T - pairs);
      assertThat(sum).isCloseTo(model.flopsPerToken(T) * T - unseen, within(1e-3));
    }
  }

  private static TransformerConfig.Attention windowed(TransformerConfig.Attention a) {
    return a.windowed(3, Set.of());
  }

  @Test
  void pairsOfACausalMask() {
    assertThat(OpCost.pairs(1, 0)).isEqualTo(1);
    assertThat(OpCost.pairs(7, 0)).isEqualTo(28);
    assertThat(OpCost.pairs(7, 1)).isEqualTo(7);
    assertThat(OpCost.pairs(7, 3)).isEqualTo(18);
    assertThat(OpCost.pairs(7, 100)).isEqualTo(28);
  }
}
