package dev.javelin.autograd;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The fused residual addition and normalisation against the two simple steps. */
class AddNormTest {
  private static final float EPS = 1e-5f;

  static List<Golden.Case> golden() {
    return Golden.cases("rmsnorm", c -> c.has("residual"));
  }

  @ParameterizedTest
  @MethodSource("golden")
  void addRmsNormAgreesWithPyTorch(Golden.Case c) {
    c.weights("weight")
        .cuda()
        .checkSeveral(
            in -> {
              AddNorm both =
                  Functional.addRmsNorm(
                      in.get("x"), in.get("residual"), in.get("weight"), c.number("eps"));
              return List.of(both.norm(), both.sum());
            });
  }

  @ParameterizedTest
  @CsvSource({"1,2", "7,31", "33,127", "20,64"})
  void addRmsNormMatchesTheTwoSteps(int rows, int cols) {
    OpCheck.ofSeveral("add_rms_norm", in -> both(Functional.addRmsNorm(in[0], in[1], in[2], EPS)))
        .input("x", rows, cols)
        .input("h", rows, cols)
        .weight("w", cols)
        .oracleOfSeveral(in -> rms(in, cols))
        .cuda()
        .run();
  }

  @ParameterizedTest
  @CsvSource({"7,31", "20,64"})
  void addRmsNormAddsAnOffsetToItsWeight(int rows, int cols) {
    OpCheck.ofSeveral(
            "add_rms_norm", in -> both(Functional.addRmsNorm(in[0], in[1], in[2], EPS, 1)))
        .input("x", rows, cols)
        .input("h", rows, cols)
        .weight("w", cols)
        .oracleOfSeveral(
            in -> rms(new double[][] {in[0], in[1], RmsNormTest.shifted(in[2], 1)}, cols))
        .cuda()
        .run();
  }

  @ParameterizedTest
  @CsvSource({"2,7", "7,31", "33,127", "20,64"})
  void addLayerNormMatchesTheTwoSteps(int rows, int cols) {
    OpCheck.ofSeveral(
            "add_layer_norm", in -> both(Functional.addLayerNorm(in[0], in[1], in[2], in[3], EPS)))
        .input("x", rows, cols)
        .input("h", rows, cols)
        .weight("w", cols)
        .weight("b", cols)
        .oracleOfSeveral(in -> layer(in, cols))
        .cuda()
        .run();
  }

  @Test
  void eitherOutputAloneGivesItsOwnGradient() {
    int cols = 33;
    OpCheck.of("add_rms_norm", in -> Functional.addRmsNorm(in[0], in[1], in[2], EPS).norm())
        .input("x", 7, cols)
        .input("h", 7, cols)
        .weight("w", cols)
        .oracle(in -> rms(in, cols)[1])
        .cuda()
        .run();
    OpCheck.of("add_rms_norm", in -> Functional.addRmsNorm(in[0], in[1], in[2], EPS).sum())
        .input("x", 7, cols)
        .input("h", 7, cols)
        .weight("w", cols)
        .oracle(in -> rms(in, cols)[0])
        .cuda()
        .run();
  }

  @Test
  void eitherOutputOfTheLayerNormAloneGivesItsOwnGradient() {
    int cols = 33;
    OpCheck.of(
            "add_layer_norm", in -> Functional.addLayerNorm(in[0], in[1], in[2], in[3], EPS).norm())
        .input("x", 7, cols)
        .input("h", 7, cols)
        .weight("w", cols)
        .weight("b", cols)
        .oracle(in -> layer(in, cols)[1])
        .cuda()
        .run();
    OpCheck.of(
            "add_layer_norm", in -> Functional.addLayerNorm(in[0], in[1], in[2], in[3], EPS).sum())
        .input("x", 7, cols)
        .input("h", 7, cols)
        .weight("w", cols)
        .weight("b", cols)
        .oracle(in -> layer(in, cols)[0])
        .cuda()
        .run();
  }

  @Test
  void bothPlacesOfOneVariableAddUp() {
    double[] w = java.util.stream.IntStream.range(0, 33).mapToDouble(i -> 1).toArray();
    OpCheck.ofSeveral(
            "add_layer_norm", in -> both(Functional.addLayerNorm(in[0], in[1], null, null, EPS)))
        .input("x", 7, 33)
        .input("h", 7, 33)
        .oracleOfSeveral(in -> layer(new double[][] {in[0], in[1], w, new double[33]}, 33))
        .cuda()
        .run();
  }

  private static List<Var> both(AddNorm a) {
    return List.of(a.sum(), a.norm());
  }

  private static double[][] rms(double[][] in, int cols) {
    double[] s = sum(in[0], in[1]);
    return new double[][] {s, RmsNormTest.oracle(s, in[2], cols)};
  }

  private static double[][] layer(double[][] in, int cols) {
    double[] s = sum(in[0], in[1]);
    return new double[][] {s, LayerNormTest.oracle(s, in[2], in[3], cols)};
  }

  private static double[] sum(double[] a, double[] b) {
    double[] s = a.clone();
    for (int i = 0; i < s.length; i++) {
      s[i] += b[i];
    }
    return s;
  }
}
