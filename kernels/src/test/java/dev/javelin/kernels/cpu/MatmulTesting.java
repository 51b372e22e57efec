package dev.javelin.kernels.cpu;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;

/** What tests of matrix products share: stored matrices, the double loop, the comparison. */
abstract class MatmulTesting {
  static Cpu cpu;
  private Arena arena = Arena.ofShared();

  @BeforeAll
  static void open() {
    cpu = Cpu.open(2);
  }

  @AfterAll
  static void close() {
    cpu.close();
  }

  @AfterEach
  void free() {
    arena.close();
  }

  /** A stored matrix whose rows are {@code stride} elements apart, with a mark in every gap. */
  final class Matrix {
    final DType type;
    final int rows;
    final int cols;
    final int stride;
    final MemorySegment data;

    Matrix(DType type, int rows, int cols, int stride) {
      this.type = type;
      this.rows = rows;
      this.cols = cols;
      this.stride = stride;
      this.data = arena.allocate(type.bytes((long) rows * stride), 64);
      for (int i = 0; i < rows * stride; i++) {
        set(i, Float.NaN);
      }
    }

    float get(int i) {
      return switch (type) {
        case F32 -> data.getAtIndex(ValueLayout.JAVA_FLOAT, i);
        case BF16 -> Half.bf16ToFloat(data.getAtIndex(ValueLayout.JAVA_SHORT, i));
        case F16 -> Float.float16ToFloat(data.getAtIndex(ValueLayout.JAVA_SHORT, i));
        case I32, I64, U8 -> throw new AssertionError();
      };
    }

    void set(int i, float v) {
      switch (type) {
        case F32 -> data.setAtIndex(ValueLayout.JAVA_FLOAT, i, v);
        case BF16 -> data.setAtIndex(ValueLayout.JAVA_SHORT, i, Half.floatToBf16(v));
        case F16 -> data.setAtIndex(ValueLayout.JAVA_SHORT, i, Half.floatToF16(v));
        case I32, I64, U8 -> throw new AssertionError();
      }
    }

    float at(int row, int col) {
      return get(row * stride + col);
    }

    float rounded(double v) {
      return switch (type) {
        case F32 -> (float) v;
        case BF16 -> Half.bf16ToFloat(Half.floatToBf16((float) v));
        case F16 -> Float.float16ToFloat(Half.floatToF16((float) v));
        case I32, I64, U8 -> throw new AssertionError();
      };
    }

    /**
     * Small whole numbers, of which every sum is exact: any mistake is visible, rounding is not.
     */
    Matrix wholeNumbers(Random random) {
      for (int r = 0; r < rows; r++) {
        for (int c = 0; c < cols; c++) {
          set(r * stride + c, random.nextInt(9) - 4);
        }
      }
      return this;
    }

    Matrix gaussian(Random random) {
      for (int r = 0; r < rows; r++) {
        for (int c = 0; c < cols; c++) {
          set(r * stride + c, (float) random.nextGaussian());
        }
      }
      return this;
    }
  }

  static void run(
      Cpu cpu,
      MatmulTile tile,
      Matrix c,
      Matrix a,
      boolean transA,
      Matrix b,
      boolean transB,
      int k,
      boolean accumulate,
      MatmulEpilogue epilogue) {
    MatmulCpu.run(
        cpu,
        tile,
        c.data,
        c.type,
        c.stride,
        a.data,
        a.type,
        a.stride,
        transA,
        b.data,
        b.type,
        b.stride,
        transB,
        c.rows,
        c.cols,
        k,
        accumulate,
        epilogue);
  }

  static double[] oracle(Matrix c, Matrix a, boolean transA, Matrix b, boolean transB, int k) {
    double[] x = new double[c.rows * k];
    for (int i = 0; i < c.rows; i++) {
      for (int p = 0; p < k; p++) {
        x[i * k + p] = transA ? a.at(p, i) : a.at(i, p);
      }
    }
    double[] y = new double[k * c.cols];
    for (int p = 0; p < k; p++) {
      for (int j = 0; j < c.cols; j++) {
        y[p * c.cols + j] = transB ? b.at(j, p) : b.at(p, j);
      }
    }
    double[] sums = new double[c.rows * c.cols];
    for (int i = 0; i < c.rows; i++) {
      for (int p = 0; p < k; p++) {
        double v = x[i * k + p];
        for (int j = 0; j < c.cols; j++) {
          sums[i * c.cols + j] += v * y[p * c.cols + j];
        }
      }
    }
    return sums;
  }

  Matrix stored(DType type, int rows, int cols, boolean transposed, int gap) {
    return transposed
        ? new Matrix(type, cols, rows, rows + gap)
        : new Matrix(type, rows, cols, cols + gap);
  }

  void checkWholeNumbers(
      MatmulTile tile,
      int m,
      int n,
      int k,
      boolean transA,
      boolean transB,
      boolean accumulate,
      int gap,
      DType cType,
      DType aType,
      DType bType) {
    Random random = new Random(m * 31L + n * 17L + k);
    Matrix a = stored(aType, m, k, transA, gap).wholeNumbers(random);
    Matrix b = stored(bType, k, n, transB, gap).wholeNumbers(random);
    Matrix c = new Matrix(cType, m, n, n + gap);
    if (accumulate) {
      c.wholeNumbers(random);
    }
    double[] expected = oracle(c, a, transA, b, transB, k);
    for (int i = 0; accumulate && i < m * n; i++) {
      expected[i] += c.at(i / n, i % n);
    }
    run(cpu, tile, c, a, transA, b, transB, k, accumulate, MatmulEpilogue.NONE);
    for (int i = 0; i < m; i++) {
      for (int j = 0; j < c.stride; j++) {
        float got = c.get(i * c.stride + j);
        if (j >= n ? !Float.isNaN(got) : got != c.rounded(expected[i * n + j])) {
          throw new AssertionError(
              "m=%d n=%d k=%d transA=%s transB=%s accumulate=%s gap=%d %s = %s x %s, tile %dx%d: C[%d, %d] = %s, expected %s"
                  .formatted(
                      m,
                      n,
                      k,
                      transA,
                      transB,
                      accumulate,
                      gap,
                      cType,
                      aType,
                      bType,
                      tile.rows,
                      tile.cols,
                      i,
                      j,
                      got,
                      j >= n ? "untouched" : expected[i * n + j]));
        }
      }
    }
  }
}
