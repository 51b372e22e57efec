package dev.javelin.nn;

import dev.javelin.device.RequiresCuda;
import dev.javelin.device.Sample;
import dev.javelin.device.TestCuda;
import dev.javelin.nn.HalfPrecisionModelTest.Fair;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The seven reference models on a GPU, or the emulated one, in fp32, bf16 and fp16: logits, loss,
 * every gradient and generation for all of them; trainings of twenty steps with {@code
 * -Djavelin.long}, and a {@link Sample} of one in each precision without.
 */
@RequiresCuda
class CudaModelTest {
  static final List<String> NAMES = ModelCase.NAMES;

  private static final List<String> ORDERS =
      TestCuda.isEmulated() ? List.of("forward", "reverse", "2026") : List.of("as they come");

  /**
   * The references' tolerances but for one: attention rounds probabilities for the tensor cores, as
   * every such kernel does, and qwen3's last hidden state in bf16 is then 2.10e-2 off, where
   * PyTorch in bf16 is 2.07e-2 off and the fair tolerance 2e-2. All others are below 1.6e-2.
   */
  private static List<Fair> halves(String name) {
    return name.equals("qwen3-tiny")
        ? Fair.ALL.stream()
            .map(f -> f.precision() == Precision.BF16 ? f.withLogits(2.2e-2) : f)
            .toList()
        : Fair.ALL;
  }

  @AfterEach
  void restore() {
    if (TestCuda.isEmulated()) {
      TestCuda.set("order", "forward");
      TestCuda.set("guard", "0");
    }
  }

  /** With the device open, since the emulator's switches are its own. */
  private static ModelCase open(String name, Precision precision, String order) {
    ModelCase c = ModelCase.onCuda(name, precision);
    if (TestCuda.isEmulated()) {
      TestCuda.set("order", order);
      TestCuda.set("guard", "1"); // of what is allocated from now on
    }
    return c;
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  void logitsLossAndEveryGradientAreThoseOfTheReferenceInAnyOrderOfThreads(String name) {
    for (String order : ORDERS) {
      try (ModelCase c = open(name, Precision.FP32, order)) {
        GoldenModelTest.assertLogits(c, GoldenModelTest.LOGITS);
        GoldenModelTest.assertGradients(c, false, GoldenModelTest.LOSS, GoldenModelTest.GRADIENTS);
      }
      for (Fair fair : halves(name)) {
        try (ModelCase c = open(name, fair.precision(), order)) {
          HalfPrecisionModelTest.assertPass(c, fair);
        }
      }
    }
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  void paddingChangesNoRealPositionAndGreedyTextIsTheReferences(String name) {
    try (ModelCase c = ModelCase.onCuda(name, Precision.FP32)) {
      GoldenModelTest.assertPadding(c);
      GoldenModelTest.assertGreedy(c, false);
    }
  }

  /** A training of twenty steps in one order of threads. */
  record Curve(String name, Precision precision, String order) {
    static Stream<Curve> all() {
      return Stream.of(Precision.FP32, Precision.BF16, Precision.FP16).flatMap(Curve::in);
    }

    static Stream<Curve> in(Precision p) {
      return NAMES.stream().flatMap(name -> ORDERS.stream().map(o -> new Curve(name, p, o)));
    }

    void follow() {
      try (ModelCase c = open(name, precision, order)) {
        if (precision == Precision.FP32) {
          GoldenModelTest.assertCurve(c);
        }
        for (Fair fair : halves(name)) {
          if (fair.precision() == precision) {
            HalfPrecisionModelTest.assertCurve(c, fair);
          }
        }
      }
    }

    @Override
    public String toString() {
      return "%s in %s, threads %s".formatted(name, precision.name(), order);
    }
  }

  /** One of each precision. */
  static Stream<Sample<Curve>> curves() {
    return Stream.of(Precision.FP32, Precision.BF16, Precision.FP16)
        .flatMap(p -> Sample.of("curves in " + p.name(), Curve.in(p).toList(), 1).stream());
  }

  @ParameterizedTest
  @MethodSource("curves")
  void twentyStepsFollowTheReferenceCurve(Sample<Curve> curve) {
    curve.check(Curve::follow);
  }

  static Stream<Curve> allCurves() {
    return Curve.all();
  }

  @Tag("long")
  @ParameterizedTest
  @MethodSource("allCurves")
  void twentyStepsOfEveryModelInAnyOrderOfThreadsFollowTheReferenceCurve(Curve curve) {
    curve.follow();
  }
}
