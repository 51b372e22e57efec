package dev.javelin.autograd;

import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LowRankTest {

  /** Two parts of different rank and scale; columns before, between and behind them stay. */
  @ParameterizedTest
  @CsvSource({"1,1,1,1", "2,7,3,2", "3,33,31,4", "33,127,8,1", "2,1000,64,8"})
  void matchesItsFormulaAndItsDerivatives(int batch, int in, int n, int rank) {
    int out = 2 * n + 4;
    OpCheck.of(
            "low_rank",
            v -> {
              List<LowRank.Part> parts =
                  List.of(new LowRank.Part(v[3], 1, 0.5f), new LowRank.Part(v[4], n + 2, -1.75f));
              return LowRank.add(Functional.linear(v[0], v[1], null), v[0], v[2], parts);
            })
        .input("x", batch, 3, in)
        .weight("w", out, in)
        .weight("down", 2 * rank + 1, in)
        .weight("up1", n, rank)
        .weight("up2", n, rank + 1)
        .oracle(v -> oracle(v, 3 * batch, in, n, rank))
        .tolerance(4 * Math.max(1, Math.sqrt(in) / 4))
        .cuda()
        .run();
  }

  private static double[] oracle(double[][] v, int rows, int in, int n, int rank) {
    int out = 2 * n + 4;
    double[] y = new double[rows * out];
    for (int r = 0; r < rows; r++) {
      for (int o = 0; o < out; o++) {
        y[r * out + o] = dot(v[0], r * in, v[1], o * in, in);
      }
      for (int o = 0; o < n; o++) {
        for (int k = 0; k < rank; k++) {
          double h = dot(v[0], r * in, v[2], k * in, in);
          y[r * out + 1 + o] += 0.5 * h * v[3][o * rank + k];
        }
        for (int k = 0; k <= rank; k++) {
          double h = dot(v[0], r * in, v[2], (rank + k) * in, in);
          y[r * out + n + 2 + o] -= 1.75 * h * v[4][o * (rank + 1) + k];
        }
      }
    }
    return y;
  }

  private static double dot(double[] a, int at, double[] b, int bt, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) {
      sum += a[at + i] * b[bt + i];
    }
    return sum;
  }
}
