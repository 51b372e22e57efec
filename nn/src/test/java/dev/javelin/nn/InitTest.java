package dev.javelin.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.nn.family.Gpt2;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class InitTest {
  private static final TransformerConfig CONFIG = Gpt2.config(65, 4, 4, 128, 64);

  private static ParameterBuffer<Transformer> model(Cpu cpu, Precision precision, long seed) {
    ParameterBuffer<Transformer> buffer =
        ParameterBuffer.allocate(
            cpu, precision, Grouping.decayMatrices(0.1f), d -> Transformer.declare(CONFIG, d));
    Init.normal(buffer, seed);
    return buffer;
  }

  private static double[] values(Tensor t) {
    MemorySegment s = t.segment();
    return LongStream.range(0, t.elements())
        .mapToDouble(i -> FloatBits.get(s, t.dtype(), i))
        .toArray();
  }

  @Test
  void drawsMatricesNormallyAndSetsBiasesAndNorms() {
    try (Cpu cpu = Cpu.open(2);
        var buffer = model(cpu, Precision.FP32, 7)) {
      for (Parameter p : buffer.named().values()) {
        double[] v = values(p.value());
        if (p.name().endsWith("bias")) {
          assertThat(v).containsOnly(0);
        } else if (p.value().rank() == 1) {
          assertThat(v).containsOnly(1);
        } else {
          boolean residual = p.name().matches(".*(attn\\.out|mlp\\.down)\\.weight");
          double std = residual ? 0.02 / Math.sqrt(8) : 0.02;
          double n = v.length;
          double mean = 0;
          double square = 0;
          double within1 = 0;
          double within2 = 0;
          for (double x : v) {
            mean += x / n;
            square += x * x / n;
            within1 += Math.abs(x) < std ? 1 / n : 0;
            within2 += Math.abs(x) < 2 * std ? 1 / n : 0;
          }
          // Five standard errors of each statistic.
          assertThat(mean).as(p.name()).isCloseTo(0, within(5 * std / Math.sqrt(n)));
          assertThat(square).isCloseTo(std * std, within(5 * std * std * Math.sqrt(2 / n)));
          assertThat(within1).isCloseTo(0.682689, within(5 * Math.sqrt(0.2166 / n)));
          assertThat(within2).isCloseTo(0.954500, within(5 * Math.sqrt(0.0434 / n)));
        }
      }
    }
  }

  @Test
  void theSameSeedGivesTheSameBitsForAnyNumberOfThreads() {
    try (Cpu one = Cpu.open(1);
        Cpu three = Cpu.open(3);
        var a = model(one, Precision.FP32, 7);
        var b = model(three, Precision.FP32, 7);
        var c = model(one, Precision.FP32, 8)) {
      assertThat(a.weights().segment().mismatch(b.weights().segment())).isEqualTo(-1);
      assertThat(values(a.model().tokens().value()))
          .isNotEqualTo(values(c.model().tokens().value()));
      Parameter up = a.get("blocks.0.mlp.up.weight");
      Parameter other = a.get("blocks.1.mlp.up.weight");
      assertThat(values(up.value())).isNotEqualTo(values(other.value()));
    }
  }

  @Test
  void mastersAreTheFp32WeightsAndHalfWeightsTheirRoundings() {
    try (Cpu cpu = Cpu.open(2);
        var full = model(cpu, Precision.FP32, 7);
        var half = model(cpu, Precision.BF16, 7)) {
      Tensor master = Objects.requireNonNull(half.master());
      assertThat(master.segment().mismatch(full.weights().segment())).isEqualTo(-1);
      Parameter p = half.model().tokens();
      for (int i = 0; i < 100; i++) {
        float exact = half.part(master, p).segment().getAtIndex(ValueLayout.JAVA_FLOAT, i);
        assertThat(FloatBits.get(p.value().segment(), DType.BF16, i))
            .isEqualTo(FloatBits.round(exact, DType.BF16));
      }
    }
  }
}
