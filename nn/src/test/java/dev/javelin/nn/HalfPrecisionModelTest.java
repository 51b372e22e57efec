package dev.javelin.nn;

import static dev.javelin.nn.ModelCase.assertClose;
import static dev.javelin.nn.ModelCase.floats;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.autograd.Tape;
import dev.javelin.tensor.JsonObject;
import dev.javelin.tensor.LossScaling;
import dev.javelin.tensor.Safetensors;
import dev.javelin.tensor.Tensor;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** The seven reference models with bf16 and fp16 weights and activations. */
class HalfPrecisionModelTest {
  static final List<String> NAMES = ModelCase.NAMES;

  /** The tolerances of the references for a type. */
  private record Fair(
      Precision precision, LossScaling scaling, double logits, double loss, double gradients) {
    /** Dynamic, from a scale that none of these gradients overflows at. */
    private static final LossScaling SCALED = new LossScaling(1024, 2, 0.5f, 2000, 1);

    static final List<Fair> ALL =
        List.of(
            new Fair(Precision.BF16, LossScaling.NONE, 2e-2, 1e-2, 5e-2),
            new Fair(Precision.FP16, SCALED, 5e-3, 2e-3, 2e-2));
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  void hiddenStatesLogitsLossAndGradientsStayWithinTheTypesTolerance(String name) {
    for (Fair fair : Fair.ALL) {
      try (ModelCase c = ModelCase.open(name, fair.precision);
          Safetensors ref = c.file("reference.safetensors");
          Safetensors grads = c.file("reference_grads.safetensors")) {
        Tensor ids = c.ids(ref.get("input_ids"));
        c.assertHiddenStates(ids, ref, fair.logits);
        c.workspace.reset();
        Tensor logits = c.model().forward(Tape.inference(c.workspace), ids).value();
        assertThat(logits.dtype()).isEqualTo(fair.precision.weights());
        assertClose(name + " logits", floats(logits), floats(ref.get("logits")), fair.logits);
        c.workspace.reset();
        Tensor targets = c.targets(ref.get("labels"));
        c.beginStep(targets);
        Tape tape = new Tape(c.workspace);
        tape.backward(c.model().loss(tape, ids, targets, c.state));
        double loss = c.json("reference.json").number("loss");
        assertThat(c.state.loss()).isCloseTo(loss, within(fair.loss * loss));
        c.assertGradients(grads, fair.gradients);
      }
    }
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  void twentyStepsFollowTheReferenceCurve(String name) {
    for (Fair fair : Fair.ALL) {
      try (ModelCase c = ModelCase.open(name, fair.precision)) {
        List<Training.Step> steps = Training.run(c, fair.scaling);
        List<JsonObject> curve = Training.reference(c, "curve_float64");
        for (int i = 0; i < steps.size(); i++) {
          double loss = curve.get(i).number("loss");
          assertThat(steps.get(i).loss())
              .as("%s in %s, loss of step %d", name, fair.precision.name(), i)
              .isCloseTo(loss, within(2e-2 * loss));
        }
      }
    }
  }
}
