package dev.javelin.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.step.LossScaling;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** The seven reference models with bf16 and fp16 weights and activations. */
class HalfPrecisionModelTest {
  static final List<String> NAMES = ModelCase.NAMES;

  /** The tolerances of the references for a type. */
  record Fair(
      Precision precision, LossScaling scaling, double logits, double loss, double gradients) {
    /** Dynamic, from a scale that none of these gradients overflows at. */
    private static final LossScaling SCALED = new LossScaling(1024, 2, 0.5f, 2000, 1);

    static final List<Fair> ALL =
        List.of(
            new Fair(Precision.BF16, LossScaling.NONE, 2e-2, 1e-2, 5e-2),
            new Fair(Precision.FP16, SCALED, 5e-3, 2e-3, 2e-2));

    Fair withLogits(double tolerance) {
      return new Fair(precision, scaling, tolerance, loss, gradients);
    }
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  void hiddenStatesLogitsLossAndGradientsStayWithinTheTypesTolerance(String name) {
    for (Fair fair : Fair.ALL) {
      try (ModelCase c = ModelCase.open(name, fair.precision)) {
        assertPass(c, fair);
      }
    }
  }

  static void assertPass(ModelCase c, Fair fair) {
    GoldenModelTest.assertLogits(c, fair.logits);
    GoldenModelTest.assertGradients(c, false, fair.loss, fair.gradients);
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  void twentyStepsFollowTheReferenceCurve(String name) {
    for (Fair fair : Fair.ALL) {
      try (ModelCase c = ModelCase.open(name, fair.precision)) {
        assertCurve(c, fair);
      }
    }
  }

  static void assertCurve(ModelCase c, Fair fair) {
    List<Training.Step> steps = Training.run(c, fair.scaling);
    List<JsonObject> curve = Training.reference(c, "curve_float64");
    for (int i = 0; i < steps.size(); i++) {
      double loss = curve.get(i).number("loss");
      assertThat(steps.get(i).loss())
          .as("%s in %s, loss of step %d", c.directory, fair.precision.name(), i)
          .isCloseTo(loss, within(2e-2 * loss));
    }
  }
}
