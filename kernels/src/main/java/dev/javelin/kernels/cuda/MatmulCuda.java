package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.DType;
import dev.javelin.kernels.Activation;
import org.jspecify.annotations.Nullable;

/**
 * Matrix product on a GPU: {@code C (+)= f(op(A)[m, k] · op(B)[k, n] + bias)}, where op is the
 * matrix or its transpose. A and B are of one type, half types by tensor cores ({@code matmul.cu},
 * {@code matmul_small.cu}), F32 in full fp32 ({@code matmul_simt.cu}); sums are fp32; C has their
 * type or F32. Any size and stride; fast where rows begin at 16-byte boundaries. 2·m·n·k FLOPs.
 *
 * <p>The same bits on every run of one card; see {@link MatmulPlan} and {@code
 * docs/determinism.md}.
 */
public final class MatmulCuda {
  private static final int MAX_BATCH = 65535; // blocks along z of a grid
  static final int SUM_VECTOR = 4; // neighbours of a thread of matmul_sum
  private static final int NO_ACTIVATION = -1;
  private static final int BIAS_PART_ROWS = 64; // 8 for each warp of a block
  static final int BIAS_LANES = 32; // of a row, 16 bytes each

  /** By 2·(A is transposed) + (B is transposed). */
  private static final String[] BIG = {"matmul_nn", "matmul_nt", "matmul_tn", "matmul_tt"};

  private static final String[] SMALL = {
    "matmul_small_nn", "matmul_small_nt", "matmul_small_tn", "matmul_small_tt"
  };
  private static final String[] SIMT = {
    "matmul_simt_nn", "matmul_simt_nt", "matmul_simt_tn", "matmul_simt_tt"
  };
  private static final String[] SIMT_SMALL = {
    "matmul_simt_small_nn", "matmul_simt_small_nt", "matmul_simt_small_tn", "matmul_simt_small_tt"
  };

  private MatmulCuda() {}

  /**
   * What becomes of the sums of {@code y = f(x · wᵀ + bias)}; bias and z of C's type.
   *
   * @param bias one row of n
   * @param z receives what f is applied to
   * @param zStride elements between rows of z
   */
  public record Epilogue(
      @Nullable Addressable bias, @Nullable Addressable z, long zStride, @Nullable Activation f) {
    static final Epilogue NONE = new Epilogue(null, null, 0, null);

    boolean isNone() {
      return bias == null && f == null;
    }

    /** The number that kernels know f by: {@code activation.cuh} has the same order. */
    @SuppressWarnings("EnumOrdinal")
    int activation() {
      return f == null ? NO_ACTIVATION : f.ordinal();
    }
  }

  /** {@code C (+)= op(A) · op(B)} for each matrix of a batch. */
  public static void run(
      Cuda cuda,
      CudaMatrix c,
      CudaMatrix a,
      CudaMatrix b,
      int m,
      int n,
      int k,
      int batch,
      boolean accumulate) {
    MatmulPlan plan = plan(cuda, m, n, k, batch);
    if (isForHopper(cuda, plan, c, a, b, n, batch, Epilogue.NONE)) {
      hopper(cuda, c, a, b, m, n, k, accumulate, Epilogue.NONE);
      return;
    }
    for (int i = 0; i < batch; i += MAX_BATCH) {
      int count = Math.min(MAX_BATCH, batch - i);
      run(cuda, plan, c.from(i), a.from(i), b.from(i), m, n, k, count, accumulate, Epilogue.NONE);
    }
  }

  /** {@code Y = f(X · Wᵀ + bias)}; W is given as stored, [n, k], and marked as transposed. */
  public static void linear(
      Cuda cuda, CudaMatrix y, CudaMatrix x, CudaMatrix w, int m, int n, int k, Epilogue end) {
    MatmulPlan plan = plan(cuda, m, n, k, 1);
    if (isForHopper(cuda, plan, y, x, w, n, 1, end)) {
      check(y, x, w, end);
      hopper(cuda, y, x, w, m, n, k, false, end);
    } else {
      run(cuda, plan, y, x, w, m, n, k, 1, false, end);
    }
  }

  /** Small tiles are for products that would leave most of the card idle: those stay with them. */
  private static boolean isForHopper(
      Cuda cuda,
      MatmulPlan plan,
      CudaMatrix c,
      CudaMatrix a,
      CudaMatrix b,
      int n,
      int batch,
      Epilogue end) {
    return plan.isBig() && MatmulHopper.fits(cuda, c, a, b, n, batch, end);
  }

  private static void hopper(
      Cuda cuda,
      CudaMatrix c,
      CudaMatrix a,
      CudaMatrix b,
      int m,
      int n,
      int k,
      boolean accumulate,
      Epilogue end) {
    MatmulHopperPlan plan = MatmulHopperPlan.of(m, n, k, cuda.properties().multiprocessors());
    MatmulHopper.run(cuda, plan, c, a, b, m, n, k, accumulate, end);
  }

  private static MatmulPlan plan(Cuda cuda, int m, int n, int k, int batch) {
    return MatmulPlan.of(m, n, k, batch, cuda.properties().multiprocessors());
  }

  static void run(
      Cuda cuda,
      MatmulPlan plan,
      CudaMatrix c,
      CudaMatrix a,
      CudaMatrix b,
      int m,
      int n,
      int k,
      int batch,
      boolean accumulate,
      Epilogue end) {
    check(c, a, b, end);
    if (plan.parts() == 1 && (a.type() != DType.F32 || end.f() == null)) {
      product(cuda, plan, c, 0, a, b, m, n, k, batch, accumulate, end);
      return;
    }
    if (plan.parts() == 1) { // in fp32 the activation is a second pass, over y itself
      Epilogue bias = new Epilogue(end.bias(), null, 0, null);
      product(cuda, plan, c, 0, a, b, m, n, k, batch, false, bias);
      sum(
          cuda,
          c,
          c,
          1,
          0,
          m,
          n,
          batch,
          false,
          new Epilogue(null, end.z(), end.zStride(), end.f()));
      return;
    }
    long stride = (long) Math.ceilDiv(n, SUM_VECTOR) * SUM_VECTOR;
    long part = (long) batch * m * stride;
    Addressable scratch = cuda.scratch(DType.F32.bytes(plan.parts() * part));
    CudaMatrix partial = new CudaMatrix(scratch, DType.F32, stride, false, m * stride);
    product(cuda, plan, partial, part, a, b, m, n, k, batch, false, Epilogue.NONE);
    sum(cuda, c, partial, plan.parts(), part, m, n, batch, accumulate, end);
  }

  private static void check(CudaMatrix c, CudaMatrix a, CudaMatrix b, Epilogue end) {
    boolean types =
        a.type().isFloat()
            && b.type() == a.type()
            && (c.type() == a.type() || c.type() == DType.F32);
    if (!types || c.transposed()) {
      throw new IllegalArgumentException(
          "matmul: needs A and B of one float type and C, not transposed, of theirs or F32; got A "
              + "%s, B %s, C %s%s"
                  .formatted(a.type(), b.type(), c.type(), c.transposed() ? "ᵀ" : ""));
    }
    if (!end.isNone() && (a.transposed() || !b.transposed() || c.type() != a.type())) {
      throw new IllegalArgumentException("matmul: bias and activation are for X · Wᵀ of one type");
    }
  }

  /** The first pass, or the only one. */
  private static void product(
      Cuda cuda,
      MatmulPlan plan,
      CudaMatrix c,
      long part,
      CudaMatrix a,
      CudaMatrix b,
      int m,
      int n,
      int k,
      int batch,
      boolean accumulate,
      Epilogue end) {
    boolean simt = a.type() == DType.F32;
    String[] names = plan.isBig() ? simt ? SIMT : BIG : simt ? SIMT_SMALL : SMALL;
    String name = names[(a.transposed() ? 2 : 0) + (b.transposed() ? 1 : 0)];
    cuda.kernel(name, a.type(), c.type())
        .grid(plan.tiles(m, n), plan.parts(), batch)
        .ptr(c.data())
        .ptr(a.data())
        .ptr(b.data())
        .i32(m)
        .i32(n)
        .i32(k)
        .i64(c.stride())
        .i64(a.stride())
        .i64(b.stride())
        .i64(c.batch())
        .i64(a.batch())
        .i64(b.batch())
        .i32(plan.depth())
        .i64(part)
        .i32(accumulate ? 1 : 0)
        .ptr(end.bias())
        .ptr(end.z())
        .i64(end.zStride())
        .i32(end.activation())
        .run();
  }

  /** {@code C (+)= f(Σ partial + bias)}, the parts in their order. */
  static void sum(
      Cuda cuda,
      CudaMatrix c,
      CudaMatrix partial,
      int parts,
      long part,
      int m,
      int n,
      int batch,
      boolean accumulate,
      Epilogue end) {
    CudaKernel kernel = cuda.kernel("matmul_sum", c.type());
    long threads = (long) m * Math.ceilDiv(n, SUM_VECTOR);
    kernel
        .grid(Math.ceilDiv(threads, kernel.blockSize()), batch)
        .ptr(c.data())
        .ptr(partial.data())
        .i32(parts)
        .i64(part)
        .i64(partial.batch())
        .i64(partial.stride())
        .i32(m)
        .i32(n)
        .i64(c.stride())
        .i64(c.batch())
        .i32(accumulate ? 1 : 0)
        .ptr(end.bias())
        .ptr(end.z())
        .i64(end.zStride())
        .i32(end.activation())
        .run();
  }

  /**
   * {@code db[c] (+)= Σ_r dy[r,c]}, db F32; rows in parts by the sizes and the multiprocessors, the
   * parts added in order.
   */
  public static void biasGradient(
      Cuda cuda, Addressable db, CudaMatrix dy, int rows, int cols, boolean accumulate) {
    int blockCols = BIAS_LANES * 16 / (int) dy.type().bytes(1);
    int blocks = Math.ceilDiv(cols, blockCols);
    int wanted = Math.max(1, 2 * cuda.properties().multiprocessors() / Math.max(1, blocks));
    int partRows = Math.max(1, Math.ceilDiv(rows, Math.clamp(rows / BIAS_PART_ROWS, 1, wanted)));
    int parts = Math.max(1, Math.ceilDiv(rows, partRows));
    boolean direct = parts == 1;
    Addressable to = direct ? db : cuda.scratch(DType.F32.bytes((long) parts * cols));
    cuda.kernel("bias_gradient", dy.type())
        .grid(blocks, parts)
        .ptr(to)
        .i64(cols)
        .i32(direct && accumulate ? 1 : 0)
        .ptr(dy.data())
        .i64(dy.stride())
        .i32(rows)
        .i32(cols)
        .i32(partRows)
        .run();
    if (!direct) {
      PartialSumCuda.run(cuda, db, accumulate, to, parts, cols);
    }
  }
}
