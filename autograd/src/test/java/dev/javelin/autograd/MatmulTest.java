package dev.javelin.autograd;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.step.Workspace;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class MatmulTest {

  @ParameterizedTest
  @CsvSource({
    "1,1,1,1,false,false",
    "1,2,7,31,false,true",
    "3,7,5,2,true,false",
    "2,33,17,9,true,true",
    "1,127,33,31,false,false",
    "4,1,40,3,false,true"
  })
  void matchesItsFormulaAndItsDerivatives(
      int batch, int m, int k, int n, boolean transA, boolean transB) {
    OpCheck.of("matmul", v -> product(v[0], v[1], transA, transB))
        .input("a", transA ? new int[] {batch, k, m} : new int[] {batch, m, k})
        .input("b", transB ? new int[] {batch, n, k} : new int[] {batch, k, n})
        .oracle(v -> oracle(v[0], v[1], batch, m, k, n, transA, transB))
        .tolerance(2)
        .cuda()
        .withoutAliasing()
        .run();
  }

  @Test
  void theSameMatrixMayStandOnBothSides() {
    OpCheck.of("matmul", v -> Functional.matmul(v[0], v[1]))
        .input("a", 2, 9, 9)
        .input("b", 2, 9, 9)
        .oracle(v -> oracle(v[0], v[1], 2, 9, 9, 9, false, false))
        .tolerance(2)
        .cuda()
        .run();
  }

  @Test
  void leadingDimensionsAreBroadcast() {
    broadcast(new int[] {2, 3, 5, 7}, new int[] {7, 4});
    broadcast(new int[] {2, 3, 5, 7}, new int[] {2, 1, 7, 4});
    broadcast(new int[] {3, 5, 7}, new int[] {2, 1, 7, 4});
    broadcast(new int[] {2, 1, 5, 7}, new int[] {1, 3, 7, 4});
  }

  private static void broadcast(int[] a, int[] b) {
    OpCheck.of("matmul", v -> Functional.matmul(v[0], v[1]))
        .input("a", a)
        .input("b", b)
        .oracle(v -> broadcastOracle(v[0], a, v[1], b))
        .dtypes(DType.F32, DType.BF16)
        .tolerance(2)
        .cuda()
        .run();
  }

  /** All leading dimensions as two: [P, Q, 5, 7] · [P, Q, 7, 4], each of them 1 or what it is. */
  private static double[] broadcastOracle(double[] a, int[] aDims, double[] b, int[] bDims) {
    int p = Math.max(dim(aDims, 4), dim(bDims, 4));
    int q = Math.max(dim(aDims, 3), dim(bDims, 3));
    double[] c = new double[p * q * 5 * 4];
    for (int i = 0; i < p * q * 5 * 4; i++) {
      int matrixA = i / 20 / q % dim(aDims, 4) * dim(aDims, 3) + i / 20 % q % dim(aDims, 3);
      int matrixB = i / 20 / q % dim(bDims, 4) * dim(bDims, 3) + i / 20 % q % dim(bDims, 3);
      for (int l = 0; l < 7; l++) {
        c[i] += a[matrixA * 35 + i / 4 % 5 * 7 + l] * b[matrixB * 28 + l * 4 + i % 4];
      }
    }
    return c;
  }

  private static int dim(int[] dims, int fromTheEnd) {
    return dims.length < fromTheEnd ? 1 : dims[dims.length - fromTheEnd];
  }

  static List<Golden.Case> cases() {
    return Golden.cases("matmul");
  }

  @ParameterizedTest
  @MethodSource("cases")
  void agreesWithPyTorch(Golden.Case c) {
    c.cuda()
        .check(
            in ->
                product(
                    in.get("a"),
                    in.get("b"),
                    c.params().path("trans_a").asBoolean(),
                    c.params().path("trans_b").asBoolean()));
  }

  @Test
  void rejectsFactorsThatDoNotFit() {
    try (Cpu cpu = Cpu.open(1);
        Workspace ws = Workspace.on(cpu, 1 << 16)) {
      Tape tape = new Tape(ws);
      Var a = tape.constant(ws.alloc(DType.F32, Shape.of(2, 3, 4)));
      Var b = tape.constant(ws.alloc(DType.F32, Shape.of(5, 6)));
      Var c = tape.constant(ws.alloc(DType.F32, Shape.of(3, 4, 6)));
      assertThatThrownBy(() -> Functional.matmul(a, b))
          .hasMessage(
              "matmul: b must be [.., 4, N] for a [2, 3, 4] (both of rank 2 at least), got [5, 6]");
      assertThatThrownBy(() -> Functional.matmul(a, c)).hasMessageContaining("must be equal or 1");
    }
  }

  private static Var product(Var a, Var b, boolean transA, boolean transB) {
    return Functional.matmul(transA ? a.transpose(-2, -1) : a, transB ? b.transpose(-2, -1) : b);
  }

  private static double[] oracle(
      double[] a, double[] b, int batch, int m, int k, int n, boolean transA, boolean transB) {
    double[] c = new double[batch * m * n];
    for (int s = 0; s < batch; s++) {
      for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
          double sum = 0;
          for (int l = 0; l < k; l++) {
            sum +=
                a[s * m * k + (transA ? l * m + i : i * k + l)]
                    * b[s * k * n + (transB ? j * k + l : l * n + j)];
          }
          c[s * m * n + i * n + j] = sum;
        }
      }
    }
    return c;
  }
}
