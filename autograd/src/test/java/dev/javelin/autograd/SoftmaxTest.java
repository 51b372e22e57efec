package dev.javelin.autograd;

import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class SoftmaxTest {
  static List<Golden.Case> golden() {
    return Golden.cases("softmax");
  }

  @ParameterizedTest
  @MethodSource("golden")
  void agreesWithPyTorch(Golden.Case c) {
    int dim = c.params().get("dim").asInt();
    c.cuda()
        .check(
            in -> {
              Var rows = Algebra.contiguous(in.get("x").transpose(dim, -1));
              Var y =
                  c.name().contains("log_softmax")
                      ? Functional.logSoftmax(rows)
                      : Functional.softmax(rows);
              return Algebra.contiguous(y.transpose(dim, -1));
            });
  }

  @ParameterizedTest
  @CsvSource({"2,1", "2,7", "3,33", "33,127", "5,1000", "20,64"})
  void matchesItsFormulaAndItsDerivatives(int rows, int cols) {
    OpCheck.of("softmax", in -> Functional.softmax(in[0]))
        .input("x", x -> 3 * x, rows, cols)
        .oracle(in -> oracle(in[0], cols, false))
        .cuda()
        .run();
  }

  @ParameterizedTest
  @CsvSource({"2,1", "2,7", "3,33", "33,127", "5,1000", "20,64"})
  void itsLogarithmMatchesToo(int rows, int cols) {
    OpCheck.of("log_softmax", in -> Functional.logSoftmax(in[0]))
        .input("x", x -> 3 * x, rows, cols)
        .oracle(in -> oracle(in[0], cols, true))
        .cuda()
        .run();
  }

  private static double[] oracle(double[] x, int cols, boolean log) {
    double[] y = new double[x.length];
    for (int r = 0; r < x.length; r += cols) {
      double max = Double.NEGATIVE_INFINITY;
      for (int c = 0; c < cols; c++) {
        max = Math.max(max, x[r + c]);
      }
      double sum = 0;
      for (int c = 0; c < cols; c++) {
        sum += Math.exp(x[r + c] - max);
      }
      for (int c = 0; c < cols; c++) {
        double d = x[r + c] - max;
        y[r + c] = log ? d - Math.log(sum) : Math.exp(d) / sum;
      }
    }
    return y;
  }
}
