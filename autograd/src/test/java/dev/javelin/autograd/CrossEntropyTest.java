package dev.javelin.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class CrossEntropyTest {
  private static final LossOptions ALL = new LossOptions(LossOptions.IGNORED, 0.1f, 1e-2f, 3f);

  static List<Golden.Case> golden() {
    return Golden.cases("cross_entropy", c -> c.has("logits"));
  }

  @ParameterizedTest
  @MethodSource("golden")
  void agreesWithPyTorch(Golden.Case c) {
    LossOptions options =
        LossOptions.PLAIN
            .withLabelSmoothing((float) c.params().path("label_smoothing").asDouble())
            .withZLoss((float) c.params().path("z_loss").asDouble());
    c.cuda()
        .check(
            in -> {
              Tensor targets = in.constant("targets");
              Var losses = Losses.crossEntropy(in.get("logits"), targets, options);
              return switch (c.params().get("reduction").asText()) {
                case "none" -> losses;
                case "sum" -> Algebra.sum(losses, false);
                default -> Losses.meanLoss(losses, targets, options);
              };
            });
  }

  static Stream<Arguments> sizesAndOptions() {
    LossOptions plain = LossOptions.PLAIN;
    return Stream.of(
        Arguments.of(1, 1, plain),
        Arguments.of(2, 7, plain),
        Arguments.of(7, 31, plain.withLabelSmoothing(0.1f)),
        Arguments.of(5, 32, plain.withZLoss(1e-2f)),
        Arguments.of(9, 33, plain.withSoftCap(2f)),
        Arguments.of(3, 48, ALL),
        Arguments.of(33, 127, ALL),
        Arguments.of(2, 1000, plain));
  }

  @ParameterizedTest
  @MethodSource("sizesAndOptions")
  void matchesItsFormulaAndItsDerivatives(int rows, int vocabulary, LossOptions options) {
    OpCheck.of("cross_entropy", in -> Losses.crossEntropy(in[0], in[1].value(), options))
        .input("logits", x -> 2 * x, rows, vocabulary)
        .ids("targets", targets(rows, vocabulary), rows)
        .oracle(in -> oracle(in[0], in[1], vocabulary, options))
        .tolerance(2)
        .cuda()
        .run();
  }

  @Test
  void meanIsOverTheValidTargetsAndStepLossOverTheStep() {
    int rows = 6;
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.poisoned(cpu, 1 << 20);
        StepState state = StepState.on(cpu)) {
      Tape tape = new Tape(ws);
      Tensor losses = ws.alloc(DType.F32, Shape.of(2, 3));
      Tensors.fill(losses, new double[] {1, 0, 2, 4, 0, 5});
      Tensor targets = ws.alloc(DType.I32, Shape.of(2, 3));
      Tensors.fill(targets, new double[] {3, -100, 0, 0, -100, 9});
      Var mean = Losses.meanLoss(tape.constant(losses), targets, LossOptions.PLAIN);
      assertThat(Tensors.toDoubles(mean.value())).containsExactly(3);
      Tensors.fill(targets, new double[] {-100, -100, -100, -100, -100, -100});
      Var none = Losses.meanLoss(tape.constant(losses), targets, LossOptions.PLAIN);
      assertThat(Tensors.toDoubles(none.value())).containsExactly(0);

      state.begin(0, 0, 0, 1f / 8);
      for (int micro = 0; micro < 2; micro++) {
        Var step = Losses.stepLoss(tape.constant(losses), state);
        assertThat(Tensors.toDoubles(step.value())).containsExactly(12.0 / 8);
      }
      assertThat(state.loss()).isEqualTo(2 * 12.0 / 8);
    }
    OpCheck.of("mean_loss", in -> Losses.meanLoss(in[0], in[1].value(), LossOptions.PLAIN))
        .input("losses", rows)
        .ids("targets", new int[] {1, -100, 2, 3, 4, -100}, rows)
        .oracle(
            in -> {
              double sum = 0;
              for (double l : in[0]) {
                sum += l;
              }
              return new double[] {sum / 4};
            })
        .dtypes(DType.F32)
        .cuda()
        .run();
  }

  @Test
  void largeLogitsLoseNoPrecision() {
    OpCheck.of("cross_entropy", in -> Losses.crossEntropy(in[0], in[1].value(), LossOptions.PLAIN))
        .input("logits", x -> 3000 + x, 4, 20)
        .ids("targets", targets(4, 20), 4)
        .oracle(in -> oracle(in[0], in[1], 20, LossOptions.PLAIN))
        .dtypes(DType.F32)
        .cuda()
        .run();
  }

  @Test
  void aMaskedLogitHasNoProbabilityAndNoGradient() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.poisoned(cpu, 1 << 20)) {
      Tensor logits = ws.alloc(DType.F32, Shape.of(1, 3));
      Tensors.fill(logits, new double[] {1, Double.NEGATIVE_INFINITY, 1});
      Tensor grad = ws.alloc(DType.F32, Shape.of(1, 3));
      Tensor targets = ws.alloc(DType.I32, Shape.of(1));
      Tensors.fill(targets, new double[] {2});
      Tape tape = new Tape(ws);
      Var x = tape.leaf(logits, new Grad(grad, false));
      Var losses = Losses.crossEntropy(x, targets, LossOptions.PLAIN);
      assertThat(Tensors.toDoubles(losses.value())[0]).isCloseTo(Math.log(2), within(1e-6));
      tape.backward(Losses.meanLoss(losses, targets, LossOptions.PLAIN));
      assertThat(Tensors.toDoubles(grad)).containsExactly(0.5, 0, -0.5);
    }
  }

  @Test
  void aTargetOutsideTheVocabularyIsNamed() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu)) {
      Var logits = Tape.inference(ws).constant(ws.alloc(DType.F32, Shape.of(2, 11)));
      Tensor targets = ws.alloc(DType.I32, Shape.of(2));
      Tensors.fill(targets, new double[] {10, 11});
      assertThatThrownBy(() -> Losses.crossEntropy(logits, targets, LossOptions.PLAIN))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("crossEntropy: targets holds 11 at index 1, outside the vocabulary of 11");
    }
  }

  /** Random targets, each fifth one ignored. */
  static int[] targets(int rows, int vocabulary) {
    int[] t = new Random(rows).ints(rows, 0, vocabulary).toArray();
    for (int i = 4; i < rows; i += 5) {
      t[i] = LossOptions.IGNORED;
    }
    return t;
  }

  static double[] oracle(double[] logits, double[] targets, int vocabulary, LossOptions o) {
    double[] losses = new double[targets.length];
    for (int r = 0; r < losses.length; r++) {
      int t = (int) targets[r];
      if (t == o.ignoreIndex()) {
        continue;
      }
      double[] x = new double[vocabulary];
      double max = Double.NEGATIVE_INFINITY;
      double mean = 0;
      for (int v = 0; v < vocabulary; v++) {
        double l = logits[r * vocabulary + v];
        x[v] = o.softCap() > 0 ? o.softCap() * Math.tanh(l / o.softCap()) : l;
        max = Math.max(max, x[v]);
        mean += x[v] / vocabulary;
      }
      double sum = 0;
      for (double l : x) {
        sum += Math.exp(l - max);
      }
      double lse = max + Math.log(sum);
      double s = o.labelSmoothing();
      losses[r] = (1 - s) * (lse - x[t]) + s * (lse - mean) + o.zLoss() * lse * lse;
    }
    return losses;
  }
}
