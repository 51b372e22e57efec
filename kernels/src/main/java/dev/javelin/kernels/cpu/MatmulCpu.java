package dev.javelin.kernels.cpu;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import java.lang.foreign.MemorySegment;

/**
 * Matrix product on the CPU: {@code C[m, n] = op(A)[m, k] · op(B)[k, n]} or {@code C += …}, where
 * op is the matrix or its transpose.
 *
 * <p>C, A and B are F32, BF16 or F16 independently; sums are fp32 chains of fused multiply-adds
 * over at most 1024 successive k, the chains added in order (or those of {@link MatmulFewRows}),
 * and a half C is rounded once at the end. The bits depend on the sizes only, not on the number of
 * threads, the width of the machine's vectors or the compiler; where A and B are both bf16, also on
 * the processor, whose bf16 unit takes k in pairs ({@link Bf16Products}). Memory of C is disjoint
 * from A and B. 2·m·n·k FLOPs.
 *
 * @see <a href="https://doi.org/10.1145/1356052.1356053">Goto and van de Geijn 2008, Anatomy of
 *     high-performance matrix multiplication</a>
 */
public final class MatmulCpu {
  /** Rows of A up to which a row of C has the same bits however many there are. */
  public static final int STEADY_ROWS = MatmulFewRows.MAX_ROWS;

  private static final MatmulTile TILE = MatmulTile.fastest();

  private MatmulCpu() {}

  /**
   * What computes products of up to {@link #STEADY_ROWS} rows, for people: {@code machine code}.
   */
  public static String fewRows() {
    return FewRowsMachine.description();
  }

  /** What computes products with activations of 8 bits, for people. */
  public static String int8() {
    return Int8DotMachine.description();
  }

  private static MatmulTile tile(DType a, DType b) {
    MatmulTile pairs = a == DType.BF16 && b == DType.BF16 ? Bf16Products.tile() : null;
    return pairs != null ? pairs : TILE;
  }

  /**
   * {@code C (+)= op(A) · op(B)}.
   *
   * @param ldc elements between rows of C as stored; likewise {@code lda} and {@code ldb}
   * @param transA whether A is stored as {@code [k, m]}
   * @param transB whether B is stored as {@code [n, k]}
   * @param accumulate whether to add to C; otherwise what stands there is not read
   */
  public static void run(
      Cpu cpu,
      MemorySegment c,
      DType cType,
      long ldc,
      MemorySegment a,
      DType aType,
      long lda,
      boolean transA,
      MemorySegment b,
      DType bType,
      long ldb,
      boolean transB,
      int m,
      int n,
      int k,
      boolean accumulate) {
    run(
        cpu,
        c,
        cType,
        ldc,
        a,
        aType,
        lda,
        transA,
        b,
        bType,
        ldb,
        transB,
        m,
        n,
        k,
        accumulate,
        MatmulEpilogue.NONE);
  }

  /** The same, with something done to the sums before they become C. */
  static void run(
      Cpu cpu,
      MemorySegment c,
      DType cType,
      long ldc,
      MemorySegment a,
      DType aType,
      long lda,
      boolean transA,
      MemorySegment b,
      DType bType,
      long ldb,
      boolean transB,
      int m,
      int n,
      int k,
      boolean accumulate,
      MatmulEpilogue epilogue) {
    run(
        cpu,
        tile(aType, bType),
        c,
        cType,
        ldc,
        a,
        aType,
        lda,
        transA,
        b,
        bType,
        ldb,
        transB,
        m,
        n,
        k,
        accumulate,
        epilogue);
  }

  static void run(
      Cpu cpu,
      MatmulTile tile,
      MemorySegment c,
      DType cType,
      long ldc,
      MemorySegment a,
      DType aType,
      long lda,
      boolean transA,
      MemorySegment b,
      DType bType,
      long ldb,
      boolean transB,
      int m,
      int n,
      int k,
      boolean accumulate,
      MatmulEpilogue epilogue) {
    if (m < 0 || n < 0 || k < 1) {
      throw new IllegalArgumentException(
          "matmul: needs m, n >= 0 and k >= 1, got m=" + m + ", n=" + n + ", k=" + k);
    }
    if (m == 0 || n == 0) {
      return;
    }
    MatmulOperand.check("C", c, cType, ldc, m, n);
    MatmulOperand opA = MatmulOperand.of("A", a, aType, lda, !transA, m, k);
    MatmulOperand opB = MatmulOperand.of("B", b, bType, ldb, transB, n, k);
    run(cpu, tile, c, cType, ldc, opA, opB, m, n, k, accumulate, epilogue);
  }

  /** {@code C (+)= A · W}, or {@code A · Wᵀ}, with a quantised W. */
  static void run(
      Cpu cpu,
      MemorySegment c,
      DType cType,
      long ldc,
      MemorySegment a,
      DType aType,
      long lda,
      QuantizedView w,
      boolean transposed,
      int m,
      boolean accumulate,
      MatmulEpilogue epilogue) {
    int n = transposed ? w.out() : w.in();
    int k = transposed ? w.in() : w.out();
    if (m == 0) {
      return;
    }
    MatmulOperand.check("C", c, cType, ldc, m, n);
    MatmulOperand opA = MatmulOperand.of("A", a, aType, lda, true, m, k);
    MatmulOperand opB = MatmulOperand.of(w, transposed);
    run(cpu, TILE, c, cType, ldc, opA, opB, m, n, k, accumulate, epilogue);
  }

  private static void run(
      Cpu cpu,
      MatmulTile tile,
      MemorySegment c,
      DType cType,
      long ldc,
      MatmulOperand opA,
      MatmulOperand opB,
      int m,
      int n,
      int k,
      boolean accumulate,
      MatmulEpilogue epilogue) {
    if (MatmulFewRows.fits(opA, opB, m)) {
      new MatmulFewRows(cpu, c, cType, ldc, opA, opB, m, n, k, accumulate, epilogue).run();
    } else {
      new MatmulBlocking(cpu, tile, true, c, cType, ldc, opA, opB, m, n, k, accumulate, epilogue)
          .run();
    }
  }
}
