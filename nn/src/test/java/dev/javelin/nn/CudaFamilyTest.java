package dev.javelin.nn;

import dev.javelin.device.RequiresCuda;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** The families on a GPU, or the emulated one, in fp32 against transformers. */
@RequiresCuda
class CudaFamilyTest {
  static final List<String> NAMES = ModelCase.FAMILIES;

  @ParameterizedTest
  @FieldSource("NAMES")
  void logitsLossAndEveryGradientAreThoseOfTheReference(String name) {
    try (ModelCase c = ModelCase.onCuda(name, Precision.FP32)) {
      GoldenModelTest.assertLogits(c, GoldenModelTest.LOGITS);
      GoldenModelTest.assertGradients(c, false, GoldenModelTest.LOSS, GoldenModelTest.GRADIENTS);
    }
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  void greedyTextIsTheReferences(String name) {
    try (ModelCase c = ModelCase.onCuda(name, Precision.FP32)) {
      GoldenModelTest.assertGreedy(c, false);
    }
  }

  @Tag("long")
  @ParameterizedTest
  @FieldSource("NAMES")
  void twentyStepsFollowTheReferenceCurve(String name) {
    try (ModelCase c = ModelCase.onCuda(name, Precision.FP32)) {
      GoldenFamilyTest.assertCurve(c);
    }
  }
}
