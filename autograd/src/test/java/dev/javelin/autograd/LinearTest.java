package dev.javelin.autograd;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.kernels.Activation;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.step.Workspace;
import java.util.List;
import java.util.function.DoubleUnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class LinearTest {

  @ParameterizedTest
  @CsvSource({"1,1,1", "2,7,3", "31,5,33", "7,33,127", "3,1000,2", "130,64,48"})
  void matchesItsFormulaAndItsDerivatives(int rows, int in, int out) {
    OpCheck.of("linear", v -> Functional.linear(v[0], v[1], v[2]))
        .input("x", rows, in)
        .weight("w", out, in)
        .weight("b", out)
        .oracle(v -> oracle(v[0], v[1], v[2], in, out, z -> z))
        .tolerance(Math.max(1, Math.sqrt(in) / 8))
        .cuda()
        .run();
  }

  @ParameterizedTest
  @EnumSource(
      value = Activation.class,
      names = {"GELU_TANH", "SILU", "RELU_SQUARED", "TANH"})
  void appliesTheActivationWhetherOrNotRowsEndWithinAVector(Activation f) {
    for (int out : new int[] {64, 37}) {
      OpCheck.of("linear " + f, v -> Functional.linear(v[0], v[1], v[2], f))
          .input("x", 9, 12)
          .weight("w", out, 12)
          .weight("b", out)
          .oracle(v -> oracle(v[0], v[1], v[2], 12, out, formula(f)))
          .tolerance(2)
          .cuda()
          .run();
    }
  }

  /** Few rows are computed in pieces of columns, which hold 16 or a multiple of them. */
  @ParameterizedTest
  @CsvSource({"768", "1600", "5000"})
  void appliesTheActivationForFewRowsOfAnyLength(int in) {
    OpCheck.of("linear", v -> Functional.linear(v[0], v[1], v[2], Activation.GELU_TANH))
        .input("x", 3, in)
        .weight("w", 48, in)
        .weight("b", 48)
        .oracle(v -> oracle(v[0], v[1], v[2], in, 48, formula(Activation.GELU_TANH)))
        .dtypes(DType.F32)
        .tolerance(Math.sqrt(in) / 4)
        .run();
  }

  @Test
  void takesPartsOfAPackedTensorAndWritesTheirGradientsInPlace() {
    OpCheck.of(
            "linear of a part",
            v -> {
              List<Var> parts = v[0].split(2, 8, 24);
              return Functional.linear(parts.get(1), v[1], null);
            })
        .input("x", 2, 3, 32)
        .weight("w", 5, 24)
        .oracle(
            v -> {
              double[] part = new double[6 * 24];
              for (int r = 0; r < 6; r++) {
                System.arraycopy(v[0], r * 32 + 8, part, r * 24, 24);
              }
              return oracle(part, v[1], new double[5], 24, 5, z -> z);
            })
        .cuda()
        .run();
  }

  static List<Golden.Case> cases() {
    return Golden.cases("linear");
  }

  @ParameterizedTest
  @MethodSource("cases")
  void agreesWithPyTorch(Golden.Case c) {
    if (c.has("lora_A")) {
      c.weights("weight", "lora_A", "lora_B").cuda().check(LinearTest::lora);
    } else if (c.toString().contains("conv1d")) {
      c.cuda()
          .check(
              in -> {
                Var w = Algebra.contiguous(in.get("weight").transpose(0, 1));
                return Functional.linear(in.get("x"), w, in.get("bias"));
              });
    } else {
      c.weights("weight", "bias")
          .cuda()
          .check(
              in ->
                  Functional.linear(
                      in.get("x"), in.get("weight"), c.has("bias") ? in.get("bias") : null));
    }
  }

  /** {@code x·Wᵀ + 2·(x·Aᵀ)·Bᵀ}. */
  private static Var lora(Golden.Inputs in) {
    Var low = Functional.linear(in.get("x"), in.get("lora_A"), null);
    Var adapted = Algebra.scale(Functional.linear(low, in.get("lora_B"), null), 2);
    return Algebra.add(Functional.linear(in.get("x"), in.get("weight"), null), adapted);
  }

  @Test
  void rejectsAWeightOfTheWrongWidth() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu, 1 << 16)) {
      Tape tape = new Tape(ws);
      Var x = tape.constant(ws.alloc(DType.F32, Shape.of(2, 8)));
      Var w = tape.constant(ws.alloc(DType.F32, Shape.of(5, 7)));
      assertThatThrownBy(() -> Functional.linear(x, w, null))
          .hasMessage("linear: w must be [N, 8] (last dimension of x [2, 8]), got [5, 7]");
    }
  }

  private static double[] oracle(
      double[] x, double[] w, double[] b, int in, int out, DoubleUnaryOperator f) {
    int rows = x.length / in;
    double[] y = new double[rows * out];
    for (int r = 0; r < rows; r++) {
      for (int o = 0; o < out; o++) {
        double sum = b[o];
        for (int i = 0; i < in; i++) {
          sum += x[r * in + i] * w[o * in + i];
        }
        y[r * out + o] = f.applyAsDouble(sum);
      }
    }
    return y;
  }

  private static DoubleUnaryOperator formula(Activation f) {
    return switch (f) {
      case GELU_TANH ->
          z -> 0.5 * z * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (z + 0.044715 * z * z * z)));
      case SILU -> z -> z / (1 + Math.exp(-z));
      case RELU_SQUARED -> z -> z > 0 ? z * z : 0;
      case TANH -> Math::tanh;
      case GELU, RELU, SIGMOID, SOFTPLUS -> throw new IllegalArgumentException(f.toString());
    };
  }
}
