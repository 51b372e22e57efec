package dev.javelin.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.nn.family.Gpt2;
import dev.javelin.tensor.Group;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Tensor;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ParameterBufferTest {
  private static final TransformerConfig TINY = Gpt2.config(7, 2, 2, 6, 5);

  private static ParameterBuffer<Transformer> tiny(
      Cpu cpu, Precision precision, Grouping grouping) {
    return ParameterBuffer.allocate(cpu, precision, grouping, d -> Transformer.declare(TINY, d));
  }

  @Test
  void namesParametersByThePathOfRecordComponents() {
    try (Cpu cpu = Cpu.open(1);
        var buffer = tiny(cpu, Precision.FP32, Grouping.decayMatrices(0.1f))) {
      assertThat(buffer.named().keySet())
          .startsWith("tokens", "positions", "blocks.0.norm1.weight", "blocks.0.norm1.bias")
          .contains("blocks.1.attn.qkv.weight", "blocks.1.mlp.down.bias")
          .endsWith("norm.weight", "norm.bias")
          .hasSize(2 + 2 * 12 + 2);
      assertThat(buffer.get("blocks.1.mlp.up.weight").value().shape().toArray())
          .containsExactly(24, 6);
      assertThat(buffer.size()).isEqualTo(7 * 6 + 5 * 6 + 2 * (12 * 36 + 13 * 6) + 12);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"fp32", "bf16", "fp16"})
  void laysOutByGroupAlignedAndWithoutOverlap(String name) {
    Precision precision = Precision.named(name);
    try (Cpu cpu = Cpu.open(1);
        var buffer = tiny(cpu, precision, Grouping.decayMatrices(0.1f))) {
      List<Parameter> ordered =
          buffer.named().values().stream()
              .sorted((a, b) -> Long.compare(a.value().offset(), b.value().offset()))
              .toList();
      long end = 0;
      boolean vectors = false;
      for (Parameter p : ordered) {
        assertThat(p.value().dtype()).isEqualTo(precision.weights());
        assertThat(p.value().offset()).isGreaterThanOrEqualTo(end);
        assertThat(p.value().segment().address() % 256).as(p.name()).isZero();
        Tensor grad = Objects.requireNonNull(p.grad());
        assertThat(grad.segment().address() % 256).as(p.name()).isZero();
        assertThat(grad.dtype()).isEqualTo(DType.F32);
        assertThat(grad.offset() / 4)
            .isEqualTo(p.value().offset() / precision.weights().byteSize());
        vectors |= p.value().rank() == 1;
        assertThat(p.value().rank()).isEqualTo(vectors ? 1 : 2);
        end = p.value().offset() + precision.weights().bytes(p.value().elements());
      }
      List<Segment> segments = buffer.segments();
      assertThat(segments).hasSize(2);
      assertThat(segments.get(0).weightDecay()).isEqualTo(0.1f);
      assertThat(segments.get(1).weightDecay()).isZero();
      assertThat(segments.get(1).to()).isEqualTo(buffer.flat().elements());
      assertThat(buffer.master() == null).isEqualTo(name.equals("fp32"));
      assertThat(buffer.gradients().elements()).isEqualTo(buffer.weights().elements());
    }
  }

  @Test
  void frozenParametersHaveNoGradientAndComeLast() {
    Grouping frozenTokens =
        (name, shape) ->
            name.equals("tokens")
                ? Grouping.frozen().of(name, shape)
                : Grouping.decayAll(0.1f).of(name, shape);
    try (Cpu cpu = Cpu.open(1);
        var buffer = tiny(cpu, Precision.BF16, frozenTokens);
        var inference = tiny(cpu, Precision.BF16, Grouping.frozen())) {
      Parameter tokens = buffer.model().tokens();
      assertThat(tokens.grad()).isNull();
      assertThat(tokens.value().offset()).isEqualTo(DType.BF16.bytes(buffer.flat().elements()));
      assertThat(buffer.segments()).hasSize(1);
      assertThat(inference.named().values()).allMatch(p -> p.grad() == null);
      assertThat(inference.master()).isNull();
      assertThatThrownBy(inference::gradients)
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("frozen");
    }
  }

  /** Matrices bf16, vectors fp32, embeddings frozen in bf16. */
  private static final Grouping TYPES =
      (name, shape) ->
          shape.rank() < 2
              ? new Group("vectors", 1, 0, false, DType.F32)
              : new Group("matrices", 1, 0.1f, name.startsWith("tokens"), DType.BF16);

  @Test
  void eachTypeHasFlatBuffersOfItsOwnAndAPartOfTheGradients() {
    try (Cpu cpu = Cpu.open(1);
        var buffer = tiny(cpu, Precision.FP16, TYPES)) {
      assertThat(buffer.flats())
          .extracting(ParameterBuffer.Flat::type)
          .containsExactly(DType.BF16, DType.F32);
      long rows = 0;
      for (ParameterBuffer.Flat flat : buffer.flats()) {
        assertThat(flat.fromRow()).isEqualTo(rows);
        assertThat(flat.master() == null).isEqualTo(flat.type() == DType.F32);
        assertThat(flat.gradients().shape()).isEqualTo(flat.weights().shape());
        assertThat(flat.part(buffer.gradients()).segment().address())
            .isEqualTo(flat.gradients().segment().address());
        assertThat(flat.segments().getFirst().from()).isZero();
        assertThat(flat.segments().getLast().to()).isEqualTo(flat.weights().elements());
        rows += flat.weights().dim(0);
      }
      assertThat(rows).isEqualTo(buffer.flat().dim(0));
      assertThat(buffer.model().tokens().value().dtype()).isEqualTo(DType.BF16);
      assertThat(buffer.model().tokens().grad()).isNull();
      assertThatThrownBy(buffer::weights)
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("several types: use flats()");
    }
  }

  @Test
  void valuesReachWeightMasterAndGradientOfTheirTypes() {
    try (Cpu cpu = Cpu.open(1);
        var buffer = tiny(cpu, Precision.FP16, TYPES)) {
      for (Parameter p : buffer.named().values()) {
        buffer.put(p, 1, new float[] {1.0001f}, 1);
        float weight = p.value().dtype() == DType.F32 ? 1.0001f : 1;
        assertThat(FloatBits.get(p.value().segment(), p.value().dtype(), 1)).isEqualTo(weight);
        boolean frozen = p.name().equals("tokens");
        Tensor precise = buffer.precise(p);
        assertThat(FloatBits.get(precise.segment(), precise.dtype(), 1))
            .isEqualTo(frozen ? 1 : 1.0001f);
        if (frozen) {
          assertThatThrownBy(() -> buffer.part(buffer.gradients(), p))
              .hasMessageContaining("tokens is frozen");
        } else {
          Objects.requireNonNull(p.grad()).segment().setAtIndex(ValueLayout.JAVA_FLOAT, 0, 7);
          Tensor part = buffer.part(buffer.gradients(), p);
          assertThat(part.segment().getAtIndex(ValueLayout.JAVA_FLOAT, 0)).isEqualTo(7);
        }
      }
    }
  }

  @Test
  void aPartOfAFlatBufferHasTheParametersShapeAndPlace() {
    try (Cpu cpu = Cpu.open(1);
        var buffer = tiny(cpu, Precision.BF16, Grouping.decayMatrices(0.1f))) {
      Parameter p = buffer.get("blocks.1.attn.out.bias");
      Tensor part = buffer.part(Objects.requireNonNull(buffer.master()), p);
      assertThat(part.shape()).isEqualTo(p.value().shape());
      buffer.put(p, 2, new float[] {1.0001f, -3f}, 2);
      assertThat(part.segment().getAtIndex(ValueLayout.JAVA_FLOAT, 2)).isEqualTo(1.0001f);
      assertThat(FloatBits.get(p.value().segment(), DType.BF16, 2)).isEqualTo(1f);
      assertThat(FloatBits.get(p.value().segment(), DType.BF16, 3)).isEqualTo(-3f);
    }
  }

  private record Stray(Parameter kept) {}

  @Test
  void refusesAParameterThatTheModelDoesNotHold() {
    try (Cpu cpu = Cpu.open(1)) {
      assertThatThrownBy(
              () ->
                  ParameterBuffer.allocate(
                      cpu,
                      Precision.FP32,
                      Grouping.decayAll(0),
                      d -> {
                        d.parameter(3);
                        return new Stray(d.parameter(2));
                      }))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("[3] was declared but is not reachable");
    }
  }

  private record Twice(Parameter a, Parameter b) {}

  @Test
  void aSharedParameterStandsOnce() {
    try (Cpu cpu = Cpu.open(1);
        var buffer =
            ParameterBuffer.allocate(
                cpu,
                Precision.FP32,
                Grouping.decayAll(0),
                d -> {
                  Parameter p = d.parameter(4, 4);
                  return new Twice(p, p);
                })) {
      assertThat(buffer.named().keySet()).containsExactly("a");
      assertThat(buffer.size()).isEqualTo(16);
    }
  }
}
