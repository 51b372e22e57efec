package dev.javelin.train.xray;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Memory;
import dev.javelin.kernels.Activation;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Pass;
import dev.javelin.nn.Precision;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.adapter.Adapters;
import dev.javelin.nn.adapter.LoraConfig;
import dev.javelin.nn.family.Gpt2;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.Adaptation;
import dev.javelin.train.Companions;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.data.InputException;
import dev.javelin.train.optim.Optimizer;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.xray.Xray.MemoryPicture;
import dev.javelin.train.xray.Xray.Range;
import dev.javelin.train.xray.Xray.StreamPoint;
import dev.javelin.train.xray.Xray.Units;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What {@link XrayGoldenTest} cannot compare with a reference, from its definition. */
class XrayStepTest {

  /** Where each token occurs once, its row of the table has the embedding's gradient. */
  @Test
  void saliencyIsTheEmbeddingsGradientTimesTheEmbedding() {
    int[] ids = {3, 141, 59, 26, 5, 35, 89};
    TransformerConfig config = XrayFixture.config().with(b -> b.tied(false));
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = XrayFixture.model(cpu, config, Precision.FP32)) {
      Xray x = XrayFixture.step(model).on(ids);
      float[] table = model.transformer().tokens().value().toFloats();
      backward(model, ids);
      float[] g = Objects.requireNonNull(model.transformer().tokens().grad()).toFloats();
      for (int t = 0; t < ids.length; t++) {
        double product = 0;
        double gradient = 0;
        double value = 0;
        for (int i = ids[t] * config.hidden(); i < (ids[t] + 1) * config.hidden(); i++) {
          product += Math.pow((double) g[i] * table[i], 2);
          gradient += (double) g[i] * g[i];
          value += (double) table[i] * table[i];
        }
        StreamPoint first = x.stream().getFirst();
        assertThat(x.saliency()[t]).isCloseTo(Math.sqrt(product), within(1e-12));
        assertThat(first.gradients()[t]).isCloseTo(Math.sqrt(gradient), within(1e-12));
        assertThat(first.norms()[t]).isCloseTo(Math.sqrt(value), within(1e-12));
      }
      assertThat(x.saliency()[ids.length - 1]).isZero(); // nothing is predicted behind it
    }
  }

  /**
   * With one target the stream's gradient is that of the bias which was added there last: the
   * second token has none.
   */
  @ParameterizedTest
  @ValueSource(strings = {"FP32", "FP16"})
  void gradientsOfTheStreamAreThoseOfTheBiasesAddedToIt(String precision) {
    boolean half = precision.equals("FP16");
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model =
            XrayFixture.model(
                cpu, Gpt2.config(256, 3, 2, 16, 8), half ? Precision.FP16 : Precision.FP32);
        Optimizer rule = RunSettings.DEFAULT.optimizer().create(model.parameters())) {
      float scale = half ? 512 : 1;
      Xray x =
          XrayFixture.step(model)
              .during(rule, 0, 1e-3, new StepState.Carried(scale, 0, 0, 0))
              .on(17, 4);
      assertThat(x.clip().lossScale()).isEqualTo(scale);
      assertThat(x.tape().getLast().gradientNorm()).isEqualTo(1);
      for (StreamPoint point : x.stream().subList(1, x.stream().size())) {
        String bias = point.part().equals("attention") ? "attn.out.bias" : "mlp.down.bias";
        double expected =
            x.parameters().stream()
                .filter(p -> p.name().equals("blocks." + point.layer() + "." + bias))
                .findFirst()
                .orElseThrow()
                .gradientNorm();
        assertThat(point.gradients()[0])
            .isCloseTo(expected, within((half ? 1e-2 : 1e-6) * expected));
        assertThat(point.gradients()[1]).isZero();
      }
    }
  }

  @Test
  void unitsThatAreSilentAndThoseThatLearnNothing() {
    TransformerConfig config =
        Gpt2.config(256, 2, 2, 16, 32)
            .with(b -> b.mlp(new TransformerConfig.Mlp(24, false, Activation.RELU)));
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = XrayFixture.model(cpu, config, Precision.FP32)) {
      ParameterBuffer<?> buffer = model.parameters();
      buffer.put(buffer.get("blocks.1.mlp.up.bias"), 5, new float[] {-100, -100}, 2);
      // This one speaks, but nobody listens: column 9 of the last product is 0.
      buffer.put(buffer.get("blocks.1.mlp.up.bias"), 9, new float[] {100}, 1);
      Parameter down = buffer.get("blocks.1.mlp.down.weight");
      for (int row = 0; row < 16; row++) {
        buffer.put(down, row * 24 + 9, new float[] {0}, 1);
      }
      Xray x = XrayFixture.step(model).on(XrayFixture.TEXT);
      assertThat(x.units()).containsExactly(new Units(0, 24, 0, 0), new Units(1, 24, 2, 3));
    }
  }

  @Test
  void memoryIsSharedButNeverAtTheSameTime() {
    MemoryPicture m = XrayFixture.llama().memory();
    assertThat(m.events()).hasSameSizeAs(m.live());
    int last = m.events().size() - 1;
    long most = 0;
    for (int e = 0; e <= last; e++) {
      int event = e;
      List<Range> alive =
          m.ranges().stream().filter(r -> r.from() <= event && r.to() > event).toList();
      if (e < last) {
        assertThat(m.live()[e]).isEqualTo(alive.stream().mapToLong(Range::bytes).sum());
      }
      most = Math.max(most, m.live()[e]);
      for (Range a : alive) {
        assertThat(a.offset() + a.bytes()).isLessThanOrEqualTo(m.slabs()[a.slab()]);
        for (Range b : alive) {
          boolean apart =
              a.slab() != b.slab()
                  || a.offset() >= b.offset() + b.bytes()
                  || b.offset() >= a.offset() + a.bytes();
          assertThat(a == b || apart).isTrue();
        }
      }
    }
    assertThat(m.live()[last]).isEqualTo(256); // the loss
    assertThat(m.peak())
        .isGreaterThanOrEqualTo(most)
        .isLessThanOrEqualTo(Arrays.stream(m.slabs()).sum());
    assertThat(m.parameterBytes()).isGreaterThanOrEqualTo(8 * 23_712);
    assertThat(m.optimizerBytes()).isGreaterThanOrEqualTo(8 * 23_712);
  }

  @Test
  void eventsAreTheTapeForwardAndThenBackward() {
    Xray x = XrayFixture.llama();
    int n = x.tape().size();
    assertThat(x.memory().events()).hasSize(2 * n);
    for (int i = 0; i < n; i++) {
      assertThat(x.memory().events().get(i)).isEqualTo(new Xray.Event(i, false));
      assertThat(x.memory().events().get(2 * n - 1 - i)).isEqualTo(new Xray.Event(i, true));
      for (int r : x.tape().get(i).ranges()) {
        assertThat(x.memory().ranges().get(r).from()).isEqualTo(i);
      }
      assertThat(x.tape().get(i).forward().nanos()).isPositive();
    }
    assertThat(x.tape().getLast().gradientNorm()).isEqualTo(1);
  }

  @Test
  void adaptersAreTrainedAndTheirBaseStands() {
    try (Cpu cpu = Cpu.open(1);
        LanguageModel base =
            LanguageModel.create(
                cpu,
                XrayFixture.config(),
                Precision.FP32,
                Grouping.frozen(),
                7,
                XrayFixture.TOKENIZER);
        ParameterBuffer<Adapters> adapters =
            Adapters.create(
                base.parameters(),
                Precision.FP32,
                LoraConfig.of(2),
                Grouping.decayMatrices(0),
                1,
                1)) {
      LanguageModel adapted =
          new LanguageModel(
              cpu,
              base.parameters(),
              Precision.FP32,
              XrayFixture.TOKENIZER,
              Companions.NONE,
              new Adaptation(adapters, adapters.model().on(base.transformer()), true));
      Xray x = XrayFixture.step(adapted).on(XrayFixture.TEXT);
      assertThat(x.parameters())
          .hasSize(base.parameters().named().size() + adapters.named().size());
      assertThat(x.parameters().stream().filter(Xray.ParameterFacts::frozen))
          .hasSize(base.parameters().named().size())
          .allSatisfy(p -> assertThat(p.updateRms()).isNaN());
      assertThat(x.subject().parameters()).isEqualTo(base.parameters().size() + adapters.size());
      assertThat(x.tape()).anyMatch(op -> op.name().equals("low_rank"));
      assertThat(x.saliency()).containsOnly(Double.NaN);
      assertThat(x.loss().after()).isLessThan(x.loss().before());
    }
  }

  @Test
  void whatCannotBeShownIsRefused() {
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = XrayFixture.model(cpu, XrayFixture.config(), Precision.FP32);
        LanguageModel silent = model.withTokenizer(null)) {
      XrayStep step = XrayFixture.step(model);
      refused(() -> step.on(""), "at least 2 tokens", "it has 0");
      refused(() -> step.on("a"), "at least 2 tokens", "it has 1");
      refused(() -> step.on("a".repeat(65)), "65 tokens", "at most 64", "shorten");
      refused(() -> step.on(1, 256), "token 256", "0 to 255", "tokenizer");
      refused(() -> step.on(1, -1), "token -1");
      refused(() -> XrayFixture.step(silent).on("ab"), "tokenizer");
    }
  }

  private static void refused(Runnable work, String... parts) {
    assertThatThrownBy(work::run).isInstanceOf(InputException.class).hasMessageContainingAll(parts);
  }

  /** Leaves the gradients of the next-token loss of a row. */
  private static void backward(LanguageModel model, int... ids) {
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
      tape.backward(
          Losses.linearCrossEntropy(
              model.transformer().hidden(tape, tokens, Pass.PLAIN),
              model.transformer().headWeight(tape),
              next,
              model.transformer().lossOptions(),
              state));
    }
  }
}
