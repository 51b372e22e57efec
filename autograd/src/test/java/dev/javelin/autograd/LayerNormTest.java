package dev.javelin.autograd;

import dev.javelin.device.DType;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class LayerNormTest {
  private static final float EPS = 1e-5f;

  static List<Golden.Case> golden() {
    return Golden.cases("layernorm");
  }

  @ParameterizedTest
  @MethodSource("golden")
  void agreesWithPyTorch(Golden.Case c) {
    c.weights("weight", "bias")
        .cuda()
        .check(
            in ->
                Functional.layerNorm(
                    in.get("x"),
                    c.has("weight") ? in.get("weight") : null,
                    c.has("bias") ? in.get("bias") : null,
                    c.number("eps")));
  }

  @ParameterizedTest
  @CsvSource({"2,7", "7,31", "3,33", "33,127", "5,1000", "20,64", "3,1024", "2,2080"})
  void matchesItsFormulaAndItsDerivatives(int rows, int cols) {
    OpCheck.of("layer_norm", in -> Functional.layerNorm(in[0], in[1], in[2], EPS))
        .input("x", rows, cols)
        .weight("w", cols)
        .weight("b", cols)
        .oracle(in -> oracle(in[0], in[1], in[2], cols))
        .cuda()
        .run();
  }

  @Test
  void worksWithoutWeightAndBias() {
    int cols = 33;
    double[] ones = new double[cols];
    java.util.Arrays.fill(ones, 1);
    OpCheck.of("layer_norm", in -> Functional.layerNorm(in[0], null, null, EPS))
        .input("x", 5, cols)
        .oracle(in -> oracle(in[0], ones, new double[cols], cols))
        .cuda()
        .run();
    OpCheck.of("layer_norm", in -> Functional.layerNorm(in[0], in[1], null, EPS))
        .input("x", 5, cols)
        .weight("w", cols)
        .oracle(in -> oracle(in[0], in[1], new double[cols], cols))
        .cuda()
        .run();
  }

  /** More than a block of the GPU keeps in registers, with the sums of the weights' gradients. */
  @Test
  void normalisesLongRows() {
    OpCheck.of("layer_norm", in -> Functional.layerNorm(in[0], in[1], in[2], EPS))
        .input("x", 2, 8200)
        .weight("w", 8200)
        .weight("b", 8200)
        .oracle(in -> oracle(in[0], in[1], in[2], 8200))
        .dtypes(DType.F32)
        .cuda()
        .run();
  }

  static double[] oracle(double[] x, double[] w, double[] b, int cols) {
    double[] y = new double[x.length];
    for (int r = 0; r < x.length; r += cols) {
      double mean = 0;
      for (int c = 0; c < cols; c++) {
        mean += x[r + c] / cols;
      }
      double variance = 0;
      for (int c = 0; c < cols; c++) {
        variance += (x[r + c] - mean) * (x[r + c] - mean) / cols;
      }
      for (int c = 0; c < cols; c++) {
        y[r + c] = (x[r + c] - mean) / Math.sqrt(variance + EPS) * w[c] + b[c];
      }
    }
    return y;
  }
}
