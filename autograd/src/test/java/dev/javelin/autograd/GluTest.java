package dev.javelin.autograd;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.kernels.Activation;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.step.Workspace;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class GluTest {
  static List<Golden.Case> golden() {
    return Golden.cases("glu");
  }

  @ParameterizedTest
  @MethodSource("golden")
  void agreesWithPyTorch(Golden.Case c) {
    Activation f =
        switch (c.name().replaceFirst("glu/(.*?)(_mlp|_bf16)?$", "$1")) {
          case "swiglu" -> Activation.SILU;
          case "geglu_exact" -> Activation.GELU;
          case "geglu_tanh" -> Activation.GELU_TANH;
          default -> throw new AssertionError("no activation for golden case " + c);
        };
    if (c.has("gate")) {
      c.cuda().check(in -> Functional.glu(in.get("gate"), in.get("up"), f));
    } else {
      c.weights("w_gate", "w_up", "w_down").tolerance(2).cuda().check(in -> mlp(in, f));
    }
  }

  /** {@code (f(x·Gᵀ) ⊙ x·Uᵀ)·Dᵀ}. */
  private static Var mlp(Golden.Inputs in, Activation f) {
    Var gate = Functional.linear(in.get("x"), in.get("w_gate"), null);
    Var up = Functional.linear(in.get("x"), in.get("w_up"), null);
    return Functional.linear(Functional.glu(gate, up, f), in.get("w_down"), null);
  }

  @ParameterizedTest
  @EnumSource(
      value = Activation.class,
      names = {"SILU", "GELU", "GELU_TANH"})
  void twoTensorsMatchTheFormula(Activation f) {
    for (int[] shape : new int[][] {{1, 2}, {3, 33}, {5, 64}}) {
      OpCheck.of("glu " + f, in -> Functional.glu(in[0], in[1], f))
          .input("gate", shape)
          .input("up", shape)
          .oracle(in -> oracle(in[0], in[1], f))
          .cuda()
          .run();
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = Activation.class,
      names = {"SILU", "GELU", "GELU_TANH"})
  void aPackedTensorMatchesTheFormula(Activation f) {
    for (int[] shape : new int[][] {{2, 1}, {3, 31}, {5, 48}}) {
      int half = shape[1];
      OpCheck.of("packed glu " + f, in -> Functional.glu(in[0], f))
          .input("gateUp", shape[0], 2 * half)
          .oracle(in -> oracle(columns(in[0], half, 0), columns(in[0], half, half), f))
          .cuda()
          .run();
    }
  }

  @Test
  void anOddPackedWidthIsRefused() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu, 1 << 20)) {
      Var x = new Tape(ws).constant(ws.alloc(DType.F32, Shape.of(2, 7)));
      assertThatThrownBy(() -> Functional.glu(x, Activation.SILU))
          .hasMessage("glu: the last dimension must be even (gate and up), got [2, 7]");
    }
  }

  private static double[] oracle(double[] gate, double[] up, Activation f) {
    double[] y = new double[gate.length];
    for (int i = 0; i < y.length; i++) {
      y[i] = ActivateTest.value(f, gate[i]) * up[i];
    }
    return y;
  }

  private static double[] columns(double[] packed, int width, int from) {
    double[] out = new double[packed.length / 2];
    for (int i = 0; i < out.length; i++) {
      out[i] = packed[i / width * 2 * width + from + i % width];
    }
    return out;
  }
}
