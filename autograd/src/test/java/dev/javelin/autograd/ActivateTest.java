package dev.javelin.autograd;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.kernels.Activation;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Activate;
import dev.javelin.tensor.step.Workspace;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class ActivateTest {
  static List<Golden.Case> golden() {
    return Golden.cases("activations");
  }

  @ParameterizedTest
  @MethodSource("golden")
  void agreesWithPyTorch(Golden.Case c) {
    Activation f = named(c.name().substring("activations/".length()));
    c.cuda().check(in -> Functional.activate(in.get("x"), f));
  }

  private static Activation named(String golden) {
    String name = golden.replaceAll("_(edges|bf16)", "").toUpperCase(Locale.ROOT);
    return name.equals("GELU_EXACT") ? Activation.GELU : Activation.valueOf(name);
  }

  @ParameterizedTest
  @EnumSource(Activation.class)
  void matchesItsFormulaAndItsDerivative(Activation f) {
    for (int[] shape : new int[][] {{1, 1}, {2, 7}, {3, 33}, {2, 127}, {4, 64}}) {
      OpCheck.of(f.name(), in -> Functional.activate(in[0], f))
          // away from zero, where ReLU has no derivative for a central difference to find
          .input("x", x -> 2 * x + Math.copySign(0.01, x), shape)
          .oracle(in -> Arrays.stream(in[0]).map(x -> value(f, x)).toArray())
          .cuda()
          .run();
    }
  }

  @Test
  void namesTheArgumentThatDoesNotFit() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu, 1 << 20)) {
      Tensor x = ws.alloc(DType.F32, Shape.of(2, 3));
      Tensor y = ws.alloc(DType.BF16, Shape.of(2, 3));
      assertThatThrownBy(() -> Activate.forward(y, x, Activation.SILU))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("SILU: y must be F32, got BF16");
    }
  }

  static double value(Activation f, double x) {
    return switch (f) {
      case GELU -> x * normalCdf(x);
      case GELU_TANH -> {
        double u = Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x);
        yield 0.5 * x * (1 + Math.tanh(u));
      }
      case SILU -> x / (1 + Math.exp(-x));
      case RELU -> Math.max(x, 0);
      case RELU_SQUARED -> Math.max(x, 0) * Math.max(x, 0);
      case SIGMOID -> 1 / (1 + Math.exp(-x));
      case TANH -> Math.tanh(x);
      case SOFTPLUS -> Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
    };
  }

  /** By the series {@code Φ(x) = ½ + φ(x)·(x + x³/3 + x⁵/(3·5) + …)}, Marsaglia 2004. */
  private static double normalCdf(double x) {
    double term = x;
    double sum = x;
    for (int k = 3; k < 400; k += 2) {
      term *= x * x / k;
      sum += term;
    }
    return 0.5 + sum * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
  }
}
