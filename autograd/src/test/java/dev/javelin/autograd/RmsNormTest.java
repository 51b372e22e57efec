package dev.javelin.autograd;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class RmsNormTest {
  private static final float EPS = 1e-5f;

  static List<Golden.Case> golden() {
    return Golden.cases("rmsnorm", c -> !c.has("residual"));
  }

  @ParameterizedTest
  @MethodSource("golden")
  void agreesWithPyTorch(Golden.Case c) {
    c.weights("weight")
        .cuda()
        .check(in -> Functional.rmsNorm(in.get("x"), in.get("weight"), c.number("eps")));
  }

  @ParameterizedTest
  @CsvSource({"1,1", "2,7", "7,31", "3,33", "33,127", "5,1000"})
  void matchesItsFormulaAndItsDerivatives(int rows, int cols) {
    OpCheck.of("rms_norm", in -> Functional.rmsNorm(in[0], in[1], EPS))
        .input("x", rows, cols)
        .weight("w", cols)
        .oracle(in -> oracle(in[0], in[1], cols))
        .cuda()
        .run();
  }

  @ParameterizedTest
  @CsvSource({"3,7,1", "33,127,1", "5,1000,-0.5", "3,3000,1"})
  void addsAnOffsetToItsWeight(int rows, int cols, float offset) {
    OpCheck.of("rms_norm", in -> Functional.rmsNorm(in[0], in[1], EPS, offset))
        .input("x", rows, cols)
        .weight("w", cols)
        .oracle(in -> oracle(in[0], shifted(in[1], offset), cols))
        .cuda()
        .run();
  }

  static double[] shifted(double[] w, float offset) {
    return Arrays.stream(w).map(v -> v + offset).toArray();
  }

  static double[] oracle(double[] x, double[] w, int cols) {
    double[] y = new double[x.length];
    for (int r = 0; r < x.length; r += cols) {
      double sum = 0;
      for (int c = 0; c < cols; c++) {
        sum += x[r + c] * x[r + c];
      }
      double rstd = 1 / Math.sqrt(sum / cols + EPS);
      for (int c = 0; c < cols; c++) {
        y[r + c] = x[r + c] * rstd * w[c];
      }
    }
    return y;
  }
}
