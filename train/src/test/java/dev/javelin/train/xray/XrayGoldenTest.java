package dev.javelin.train.xray;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Probe;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Tensors;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Memory;
import dev.javelin.nn.Pass;
import dev.javelin.nn.Precision;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.Safetensors;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.xray.Xray.AttentionHead;
import dev.javelin.train.xray.Xray.StreamPoint;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * X-rays of a model of each family, against hidden states and logits that transformers computed in
 * float64, and against a step that nobody looked into.
 */
class XrayGoldenTest {
  private static final Path GOLDEN = Path.of("../nn/src/test/resources/golden");

  /** A step without a probe that reads anything but what attention is given and makes. */
  private static final class Plain implements Probe {
    final Map<Integer, double[][]> attention = new HashMap<>(); // v, o
    final List<Workspace.Request> requests = new ArrayList<>();
    final Map<String, Double> gradients = new HashMap<>();

    @Override
    public void forward(Step step, long nanos) {
      if (step.name().equals("attention")) {
        Tensor v = Objects.requireNonNull(step.inputs().get(2)).value();
        attention.put(
            step.layer(),
            new double[][] {
              Tensors.toDoubles(v), Tensors.toDoubles(step.outputs().getFirst().value())
            });
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "models/llama-tiny",
        "models/gpt2-tiny",
        "models/qwen2-tiny",
        "models/qwen3-tiny",
        "models/mistral-window-tiny",
        "families/bloom-tiny",
        "families/falcon-multiquery-tiny",
        "families/falcon-new-decoder-tiny",
        "families/gemma2-tiny",
        "families/gemma3-tiny",
        "families/glm-tiny",
        "families/glm4-tiny",
        "families/gptneox-tiny",
        "families/olmo2-tiny",
        "families/phi3-tiny",
        "families/qwen3-layer-windows-tiny",
        "families/smollm3-tiny"
      })
  void everyFamilyIsTakenApart(String name) {
    Path directory = GOLDEN.resolve(name);
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model =
            LanguageModel.load(
                cpu,
                directory,
                LanguageModel.readConfig(directory),
                Precision.FP32,
                RunSettings.DEFAULT.optimizer().groups(),
                null);
        Safetensors reference = Safetensors.open(directory.resolve("reference.safetensors"))) {
      int[] ids = row(reference);
      float[] weights = model.parameters().weights().toFloats();
      Xray x = XrayFixture.step(model).on(ids);
      assertThat(Arrays.equals(model.parameters().weights().toFloats(), weights)).isTrue();
      float[] gradients = model.parameters().gradients().toFloats();
      assertThat(Arrays.equals(gradients, new float[gradients.length])).isTrue();

      TransformerConfig c = model.config();
      assertPredictions(x, floats(reference, "logits"), ids, c.vocab());
      assertStream(x, reference, c, ids.length);
      Plain plain = plain(model, ids);
      assertAttention(x, plain, c);
      assertGradients(x, plain);
      assertMemory(x, plain);
    }
  }

  private static int[] row(Safetensors reference) {
    Safetensors.Entry ids = reference.get("input_ids");
    int length = ids.shape().dim(1);
    return IntStream.range(0, length)
        .map(
            i ->
                ids.type().equals("I64")
                    ? (int) ids.data().getAtIndex(ValueLayout.JAVA_LONG_UNALIGNED, i)
                    : ids.data().getAtIndex(ValueLayout.JAVA_INT_UNALIGNED, i))
        .toArray();
  }

  private static double[] floats(Safetensors reference, String name) {
    MemorySegment data = reference.get(name).data();
    return IntStream.range(0, (int) (data.byteSize() / Float.BYTES))
        .mapToDouble(i -> data.getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, i))
        .toArray();
  }

  /** Losses and the lens at the end of the stream are the softmax of the reference's logits. */
  private static void assertPredictions(Xray x, double[] logits, int[] ids, int vocab) {
    double sum = 0;
    for (int t = 0; t < ids.length; t++) {
      double[] row = Arrays.copyOfRange(logits, t * vocab, (t + 1) * vocab);
      double all = Math.log(Arrays.stream(row).map(Math::exp).sum());
      Xray.Lens lens = x.stream().getLast().lens().get(t);
      for (Xray.Guess guess : lens.top()) {
        double p = Math.exp(row[guess.id()] - all);
        assertThat(guess.probability()).isCloseTo(p, within(2e-4 * p));
      }
      double largest = Arrays.stream(row).max().orElseThrow();
      assertThat(row[lens.top().getFirst().id()]).isCloseTo(largest, within(1e-4));
      Xray.Token token = x.tokens().get(t);
      if (t == ids.length - 1) {
        assertThat(token.target()).isNull();
        assertThat(lens.target()).isNaN();
        continue;
      }
      Xray.Target target = Objects.requireNonNull(token.target());
      assertThat(target.id()).isEqualTo(ids[t + 1]);
      double loss = all - row[target.id()];
      assertThat(target.lossBefore()).isCloseTo(loss, within(2e-4 * loss));
      assertThat(lens.target()).isCloseTo(Math.exp(-loss), within(2e-4 * Math.exp(-loss)));
      assertThat(lens.rank())
          .isBetween(
              1 + (int) Arrays.stream(row).filter(v -> v > row[target.id()] + 1e-4).count(),
              1 + (int) Arrays.stream(row).filter(v -> v >= row[target.id()] - 1e-4).count());
      sum += loss;
    }
    double mean = sum / (ids.length - 1);
    assertThat(x.loss().before()).isCloseTo(mean, within(1e-5 * mean));
    assertThat(x.loss().after()).isLessThan(x.loss().before());
  }

  /** Norms behind the embedding and behind each layer but the last are the reference's. */
  private static void assertStream(Xray x, Safetensors reference, TransformerConfig c, int tokens) {
    List<StreamPoint> points =
        x.stream().stream().filter(p -> !p.part().equals("attention")).toList();
    assertThat(x.stream()).hasSize(1 + 2 * c.layers());
    for (int i = 0; i < c.layers(); i++) { // the last one of the reference is behind the norm
      double[] hidden = floats(reference, "hidden_states." + i);
      for (int t = 0; t < tokens; t++) {
        double square = 0;
        for (int j = 0; j < c.hidden(); j++) {
          square += hidden[t * c.hidden() + j] * hidden[t * c.hidden() + j];
        }
        double norm = Math.sqrt(square);
        assertThat(points.get(i).norms()[t]).isCloseTo(norm, within(1e-4 * norm));
      }
    }
  }

  private static Plain plain(LanguageModel model, int[] ids) {
    Plain plain = new Plain();
    int[] targets = Arrays.copyOfRange(ids, 1, ids.length + 1);
    targets[ids.length - 1] = LossOptions.IGNORED;
    try (Workspace workspace = Workspace.on(model.device());
        StepState state = StepState.on(model.device());
        Memory memory = model.device().allocate(8L * ids.length)) {
      Tensor tokens = Tensor.of(memory, 0, DType.I32, Shape.of(1, ids.length));
      Tensor next = Tensor.of(memory, 4L * ids.length, DType.I32, Shape.of(1, ids.length));
      tokens.fromHost(MemorySegment.ofArray(ids));
      next.fromHost(MemorySegment.ofArray(targets));
      state.begin(1, 0, 0, 1f / (ids.length - 1));
      Tape tape = new Tape(workspace);
      Probe.on(tape, plain);
      tape.backward(
          Losses.linearCrossEntropy(
              model.transformer().hidden(tape, tokens, Pass.PLAIN),
              model.transformer().headWeight(tape),
              next,
              model.transformer().lossOptions(),
              state),
          state.lossScaleTensor());
      plain.requests.addAll(workspace.requests());
      model
          .parameters()
          .named()
          .forEach(
              (name, p) -> {
                double[] g = Tensors.toDoubles(Objects.requireNonNull(p.grad()));
                plain.gradients.put(name, Math.sqrt(Arrays.stream(g).map(v -> v * v).sum()));
              });
    }
    return plain;
  }

  /** The weights times the values are what the fused operator made. */
  private static void assertAttention(Xray x, Plain plain, TransformerConfig c) {
    assertThat(x.attention()).hasSize(c.layers() * c.heads());
    for (AttentionHead head : x.attention()) {
      double[] v = Objects.requireNonNull(plain.attention.get(head.layer()))[0];
      double[] o = Objects.requireNonNull(plain.attention.get(head.layer()))[1];
      double scale = Arrays.stream(o).map(Math::abs).max().orElseThrow();
      assertThat(head.keyHead()).isEqualTo(head.head() * c.kvHeads() / c.heads());
      for (int i = 0; i < head.weights().length; i++) {
        float[] row = head.weights()[i];
        assertThat(row).hasSize(i + 1);
        double sum = 0;
        double hidden = 0;
        for (int j = 0; j <= i; j++) {
          sum += row[j];
          hidden += head.sees(i, j) ? 0 : row[j];
        }
        assertThat(sum).isCloseTo(1, within(1e-5));
        assertThat(hidden).isZero();
        double worst = 0;
        for (int d = 0; d < c.headDim(); d++) {
          double expected = 0;
          for (int j = 0; j <= i; j++) {
            expected += row[j] * v[(j * c.kvHeads() + head.keyHead()) * c.headDim() + d];
          }
          double got = o[(i * c.heads() + head.head()) * c.headDim() + d];
          worst = Math.max(worst, Math.abs(got - expected));
        }
        assertThat(worst).isLessThan(2e-5 * scale);
      }
    }
  }

  private static void assertGradients(Xray x, Plain plain) {
    double square = 0;
    assertThat(x.parameters()).hasSize(plain.gradients.size());
    for (Xray.ParameterFacts p : x.parameters()) {
      double norm = Objects.requireNonNull(plain.gradients.get(p.name()));
      square += norm * norm;
      assertThat(p.gradientNorm()).isCloseTo(norm, within(1e-12 * norm));
      assertThat(p.gradientRms())
          .isCloseTo(norm / Math.sqrt(p.count()), within(1e-12 + 1e-9 * norm));
    }
    assertThat(x.clip().norm()).isCloseTo(Math.sqrt(square), within(1e-6 * x.clip().norm()));
    assertThat(x.clip().factor())
        .isCloseTo(Math.min(1, 1 / (x.clip().norm() + 1e-6)), within(1e-6));
  }

  private static void assertMemory(Xray x, Plain plain) {
    assertThat(
            x.memory().ranges().stream()
                .map(r -> new Workspace.Request(r.owner(), r.slab(), r.offset(), r.bytes())))
        .containsExactlyElementsOf(plain.requests);
  }
}
