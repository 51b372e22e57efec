package dev.javelin.nn;

import dev.javelin.device.RequiresCuda;
import dev.javelin.nn.adapter.Adapters;
import dev.javelin.tensor.op.Fill;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** Adapters that PEFT wrote: what it computed with them, on both devices. */
class GoldenPeftTest {
  static final List<String> NAMES = PeftCase.NAMES;

  private static final double LOGITS = 1e-4;
  private static final double LOSS = 1e-5;
  private static final double GRADIENTS = 1e-3;
  private static final double CURVE = 1e-4;

  @ParameterizedTest
  @FieldSource("NAMES")
  void logitsGradientsAndCurveAreThoseOfPeft(String name) {
    try (PeftCase c = PeftCase.open(name)) {
      check(c);
    }
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  @RequiresCuda
  void theyAreOnAGpuToo(String name) {
    try (PeftCase c =
        new PeftCase(ModelCase.onCuda(PeftCase.BASE, Precision.FP32), name, Precision.FP32)) {
      check(c);
    }
  }

  private static void check(PeftCase c) {
    c.assertLogits(c.model, "logits", LOGITS);
    try (ParameterBuffer<Transformer> merged =
        Adapters.merged(c.adapters, c.base.buffer, Precision.FP32)) {
      c.assertLogits(merged.model(), "merged_logits", LOGITS);
      c.assertLogits(merged.model(), "logits", LOGITS);
    }
    c.assertGradients(false, LOSS, GRADIENTS);
    Fill.zero(c.adapters.gradients());
    c.assertGradients(true, LOSS, GRADIENTS);
    Fill.zero(c.adapters.gradients());
    c.assertCurve(CURVE);
  }
}
