package dev.javelin.nn;

import static dev.javelin.nn.ModelCase.assertClose;
import static dev.javelin.nn.ModelCase.floats;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.io.Safetensors;
import dev.javelin.tensor.step.LossScaling;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** The seven reference models in fp32. */
class GoldenModelTest {
  static final List<String> NAMES = ModelCase.NAMES;

  static final double LOGITS = 1e-4;
  static final double LOSS = 1e-5;
  static final double GRADIENTS = 1e-3;

  @ParameterizedTest
  @FieldSource("NAMES")
  void hiddenStatesAndLogitsAreThoseOfTheReference(String name) {
    try (ModelCase c = ModelCase.open(name, Precision.FP32)) {
      assertLogits(c, LOGITS);
    }
  }

  static void assertLogits(ModelCase c, double tolerance) {
    try (Safetensors ref = c.file("reference.safetensors")) {
      assertThat(c.buffer.size())
          .isEqualTo(c.json("reference.json").integer("n_params", 1, 1 << 30));
      Tensor ids = c.ids(ref.get("input_ids"));
      c.assertHiddenStates(ids, ref, tolerance);
      c.workspace.reset();
      Tensor logits = c.model().forward(Tape.inference(c.workspace), ids).value();
      assertThat(logits.dtype()).isEqualTo(c.model().tokens().value().dtype());
      assertClose("logits", floats(logits), floats(ref.get("logits")), tolerance);
    }
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  void lossAndEveryGradientAreThoseOfTheReference(String name) {
    for (boolean recompute : new boolean[] {false, true}) {
      try (ModelCase c = ModelCase.open(name, Precision.FP32)) {
        assertGradients(c, recompute, LOSS, GRADIENTS);
      }
    }
  }

  static void assertGradients(ModelCase c, boolean recompute, double loss, double gradients) {
    try (Safetensors ref = c.file("reference.safetensors");
        Safetensors grads = c.file("reference_grads.safetensors")) {
      Tensor targets = c.targets(ref.get("labels"));
      c.workspace.reset();
      c.beginStep(targets);
      Tape tape = new Tape(c.workspace);
      Var root =
          NextTokenLoss.of(
              c.model().withRecompute(recompute),
              tape,
              c.ids(ref.get("input_ids")),
              targets,
              c.state);
      tape.backward(root);
      double expected = c.json("reference.json").number("loss");
      assertThat(c.state.loss()).isCloseTo(expected, within(loss * expected));
      assertThat(floats(root.value())[0]).isCloseTo(expected, within(loss * expected));
      c.assertGradients(grads, gradients);
    }
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  void paddingOnTheRightChangesNoRealPosition(String name) {
    try (ModelCase c = ModelCase.open(name, Precision.FP32)) {
      assertPadding(c);
    }
  }

  static void assertPadding(ModelCase c) {
    try (Safetensors ref = c.file("reference.safetensors")) {
      Tensor ids = c.ids(ref.get("padded.input_ids"));
      double[] logits = floats(c.model().forward(Tape.inference(c.workspace), ids).value());
      double[] expected = floats(ref.get("padded.logits"));
      int[] real = ModelCase.integers(ref.get("padded.attention_mask"));
      int vocab = c.model().config().vocab();
      for (int i = 0; i < real.length; i++) {
        if (real[i] == 0) {
          Arrays.fill(logits, i * vocab, (i + 1) * vocab, 0);
          Arrays.fill(expected, i * vocab, (i + 1) * vocab, 0);
        }
      }
      assertClose("padded logits", logits, expected, LOGITS);
      Tensor targets = c.targets(ref.get("padded.labels"));
      c.beginStep(targets);
      NextTokenLoss.of(c.model(), Tape.inference(c.workspace), ids, targets, c.state);
      double loss = c.json("reference.json").number("padded_loss");
      assertThat(c.state.loss()).isCloseTo(loss, within(LOSS * loss));
    }
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  void greedyContinuationIsThatOfTheReferenceWithCacheAndWithout(String name) {
    try (ModelCase c = ModelCase.open(name, Precision.FP32)) {
      assertGreedy(c, true);
    }
  }

  /** Without a cache the text is read again for every token. */
  static void assertGreedy(ModelCase c, boolean withoutCache) {
    try (Safetensors ref = c.file("reference.safetensors")) {
      int[] prompt = ModelCase.integers(ref.get("greedy.prompt_ids"));
      int[] expected = ModelCase.integers(ref.get("greedy.output_ids"));
      if (withoutCache) {
        assertThat(greedy(c, prompt, expected.length)).isEqualTo(expected);
      }
      // The prompt at once, in two parts, and token by token.
      for (int part : new int[] {prompt.length, 5, 1}) {
        assertThat(cachedGreedy(c, prompt, expected.length, part)).isEqualTo(expected);
      }
    }
  }

  private static int[] greedy(ModelCase c, int[] prompt, int length) {
    int[] ids = Arrays.copyOf(prompt, length);
    int vocab = c.model().config().vocab();
    for (int n = prompt.length; n < length; n++) {
      c.workspace.reset();
      Tensor tokens = c.ids(Arrays.copyOf(ids, n), Shape.of(1, n));
      double[] logits = floats(c.model().forward(Tape.inference(c.workspace), tokens).value());
      ids[n] = argmax(Arrays.copyOfRange(logits, (n - 1) * vocab, n * vocab));
    }
    return ids;
  }

  private static int[] cachedGreedy(ModelCase c, int[] prompt, int length, int part) {
    int[] ids = Arrays.copyOf(prompt, length);
    try (KvCache cache =
        KvCache.open(c.device, c.model().config(), c.model().tokens().value().dtype())) {
      for (int from = 0, n = prompt.length; n < length; ) {
        int to = Math.min(n, from + Math.max(1, part));
        c.workspace.reset();
        Tensor tokens = c.ids(Arrays.copyOfRange(ids, from, to), Shape.of(1, to - from));
        Tensor logits = c.model().next(Tape.inference(c.workspace), tokens, cache);
        if (to == n) {
          ids[n++] = argmax(floats(logits));
        }
        from = to;
      }
    }
    return ids;
  }

  private static int argmax(double[] x) {
    int best = 0;
    for (int i = 1; i < x.length; i++) {
      best = x[i] > x[best] ? i : best;
    }
    return best;
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  void twentyStepsFollowTheReferenceCurveAndEndWithItsWeights(String name) {
    try (ModelCase c = ModelCase.open(name, Precision.FP32)) {
      assertCurve(c);
    }
  }

  static void assertCurve(ModelCase c) {
    List<Training.Step> steps = Training.run(c, LossScaling.NONE);
    List<JsonObject> curve = Training.reference(c, "curve_float64");
    assertThat(steps).hasSameSizeAs(curve);
    for (int i = 0; i < steps.size(); i++) {
      double lr = curve.get(i).number("lr");
      double loss = curve.get(i).number("loss");
      double norm = curve.get(i).number("grad_norm");
      assertThat((double) steps.get(i).learningRate()).isCloseTo(lr, within(1e-6 * lr));
      assertThat(steps.get(i).loss()).as("loss of step " + i).isCloseTo(loss, within(1e-4 * loss));
      assertThat(steps.get(i).gradNorm()).isCloseTo(norm, within(1e-3 * norm));
    }
    // Where a gradient is nothing but rounding, Adam makes steps of it: their fp32 strays as far.
    JsonObject json = c.json("training_curve.json");
    double tolerance = 1e-4 + json.number("final_param_max_rel_gap_f32_vs_f64");
    JsonObject norms = json.object("final_param_l2_norm_float32");
    List<Safetensors.Item> weights = HuggingFace.items(c.buffer, "", Parameter::value);
    assertThat(weights.stream().map(Safetensors.Item::name))
        .containsExactlyInAnyOrderElementsOf(norms.members().keySet());
    for (Safetensors.Item w : weights) {
      double norm = norms.number(w.name());
      double squares = 0;
      for (double x : floats(w)) {
        squares += x * x;
      }
      assertThat(Math.sqrt(squares)).as(w.name()).isCloseTo(norm, within(tolerance * norm));
    }
  }
}
