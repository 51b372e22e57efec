package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.TensorMap;
import dev.javelin.device.TensorMap.Swizzle;
import dev.javelin.kernels.cuda.MatmulCuda.Epilogue;

/**
 * The product of half types on compute capability 9.0: {@code matmul_hopper.cuh}, which reads and
 * writes matrices through tensor maps. One product at a time, not a batch; not of two transposed
 * matrices; rows begin at 16-byte boundaries. {@link MatmulCuda} has the rest.
 */
final class MatmulHopper {
  /** {@code -Djavelin.hopper=false}: without these kernels, to compare, or to look for an error. */
  private static final boolean WANTED =
      Boolean.parseBoolean(System.getProperty("javelin.hopper", "true"));

  private static final int CAPABILITY = 90; // its machine code runs nowhere else
  private static final int ALIGNMENT = 16; // of tensor maps
  static final int SWIZZLE_BYTES = 128; // of a box's row
  static final int BOX_ROWS = 64; // of results
  static final int BLOCK_BYTES = 232448 - 1024; // of shared memory, without the barriers
  static final int RESULT_BYTES = 2 * 4 * BOX_ROWS * SWIZZLE_BYTES;

  private static final String[][] WIDE = names("matmul_hopper_256");
  private static final String[][] MIDDLE = names("matmul_hopper_192");
  private static final String[][] NARROW = names("matmul_hopper_128");

  private MatmulHopper() {}

  /** By blocks of a cluster - 1, then by 2·(A is transposed) + (B is transposed). */
  private static String[][] names(String tile) {
    return new String[][] {
      {tile + "_nn", tile + "_nt", tile + "_tn"},
      {tile + "_pair_nn", tile + "_pair_nt", tile + "_pair_tn"}
    };
  }

  /** Whether kernels for 9.0 are to run on this device. */
  static boolean isWanted(Cuda cuda) {
    return WANTED && cuda.properties().capability() == CAPABILITY;
  }

  /** Whether there is a kernel for this product on this device. */
  static boolean fits(
      Cuda cuda, CudaMatrix c, CudaMatrix a, CudaMatrix b, int n, int batch, Epilogue end) {
    Addressable z = end.z();
    return isWanted(cuda)
        && a.type() != DType.F32
        && batch == 1
        && n % 2 == 0
        && !(a.transposed() && b.transposed())
        && isAligned(a.data(), a.type(), a.stride())
        && isAligned(b.data(), b.type(), b.stride())
        && isAligned(c.data(), c.type(), c.stride())
        && (z == null || isAligned(z, c.type(), end.zStride()));
  }

  static boolean isAligned(Addressable data, DType type, long stride) {
    return data.address() % ALIGNMENT == 0 && type.bytes(stride) % ALIGNMENT == 0;
  }

  /** {@code C (+)= f(op(A) · op(B) + bias)}. */
  static void run(
      Cuda cuda,
      MatmulHopperPlan plan,
      CudaMatrix c,
      CudaMatrix a,
      CudaMatrix b,
      int m,
      int n,
      int k,
      boolean accumulate,
      Epilogue end) {
    if (plan.parts() == 1) {
      product(cuda, plan, c, a, b, m, n, k, accumulate, end);
      return;
    }
    long stride = (long) Math.ceilDiv(n, MatmulCuda.SUM_VECTOR) * MatmulCuda.SUM_VECTOR;
    long part = m * stride;
    Addressable scratch = cuda.scratch(DType.F32.bytes(plan.parts() * part));
    CudaMatrix partial = new CudaMatrix(scratch, DType.F32, stride, false, part);
    product(cuda, plan, partial, a, b, m, n, k, false, Epilogue.NONE);
    MatmulCuda.sum(cuda, c, partial, plan.parts(), part, m, n, 1, accumulate, end);
  }

  private static void product(
      Cuda cuda,
      MatmulHopperPlan plan,
      CudaMatrix c,
      CudaMatrix a,
      CudaMatrix b,
      int m,
      int n,
      int k,
      boolean accumulate,
      Epilogue end) {
    String[][] names =
        switch (plan.columns()) {
          case 256 -> WIDE;
          case 192 -> MIDDLE;
          default -> NARROW;
        };
    int cluster = plan.cluster();
    String name = names[cluster - 1][(a.transposed() ? 2 : 0) + (b.transposed() ? 1 : 0)];
    TensorMap results = results(c.data(), c.type(), m, n, plan.parts(), c.stride());
    Addressable z = end.z();
    cuda.kernel(name, a.type(), c.type())
        .grid(plan.grid(m, n, cuda.properties().multiprocessors()))
        .cluster(cluster)
        .map(operand(a, !a.transposed(), m, k, MatmulHopperPlan.ROWS, MatmulHopperPlan.STEP))
        .map(
            operand(
                b, b.transposed(), n, k, plan.columns() / cluster, MatmulHopperPlan.STEP / cluster))
        .map(results)
        .map(z == null ? results : results(z, c.type(), m, n, 1, end.zStride()))
        .ptr(c.data())
        .ptr(end.bias())
        .i32(m)
        .i32(n)
        .i32(k)
        .i32(plan.depth())
        .i32(plan.parts())
        .i64(c.stride())
        .i32(accumulate ? 1 : 0)
        .i32(z == null ? 0 : 1)
        .i32(end.activation())
        .shared(sharedBytes(plan.columns()))
        .run();
  }

  /** As many steps as there is room for, and the results. */
  static int sharedBytes(int columns) {
    return ringBytes(columns) + RESULT_BYTES;
  }

  static int ringBytes(int columns) {
    int step = stepBytes(columns);
    return (BLOCK_BYTES - RESULT_BYTES) / step * step;
  }

  static int stepBytes(int columns) {
    return (MatmulHopperPlan.ROWS + columns) * SWIZZLE_BYTES;
  }

  /**
   * Stored along k, a tile of an operand is a box of {@code tile} rows; stored across k, boxes of
   * {@code step} by 64: a row of a box is no wider than the swizzle.
   */
  static TensorMap operand(CudaMatrix x, boolean alongK, int outer, int k, int tile, int step) {
    return TensorMap.rows(
        x.type(),
        x.data(),
        alongK ? outer : k,
        alongK ? k : outer,
        x.stride(),
        alongK ? tile : step,
        SWIZZLE_BYTES / 2,
        Swizzle.BYTES_128);
  }

  /** {@code parts} matrices, one behind the other. */
  static TensorMap results(Addressable data, DType type, int m, int n, int parts, long stride) {
    return TensorMap.of(
        type,
        data,
        new long[] {n, m, parts},
        new long[] {type.bytes(stride), type.bytes(m * stride)},
        new int[] {SWIZZLE_BYTES / (int) type.bytes(1), BOX_ROWS, 1},
        Swizzle.BYTES_128);
  }
}
