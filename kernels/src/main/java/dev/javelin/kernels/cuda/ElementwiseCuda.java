package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.kernels.ElementwiseFunction;
import dev.javelin.kernels.Loops;

/** {@code elementwise.cu}: how loops become units, and sums pieces. */
public final class ElementwiseCuda {
  static final int MAX_LOOPS = 8;
  static final int MAX_OPERANDS = 4;
  static final int UNIT = 8; // elements: 16 bytes of a half type
  private static final int ALIGNMENT = 16;
  private static final long PIECE_UNITS = 256; // at least, where neighbours are summed
  private static final long MAX_PIECES = 1024;
  private static final long PIECE_ROWS = 32; // at least, where columns are summed
  private static final long COLUMN_THREADS = 1 << 16; // enough for any GPU

  /** An element that all strides count from, and its type. */
  public record Operand(Addressable data, DType type) {}

  private final Cuda cuda;
  private final ElementwiseFunction f;
  private final float alpha;
  private final int accumulate;
  private final Loops loops;
  private final Operand[] operands; // the result first

  private ElementwiseCuda(
      Cuda cuda,
      ElementwiseFunction f,
      float alpha,
      boolean accumulate,
      Loops loops,
      Operand[] operands) {
    this.cuda = cuda;
    this.f = f;
    this.alpha = alpha;
    this.accumulate = accumulate ? 1 : 0;
    this.loops = loops;
    this.operands = operands;
  }

  /**
   * {@code y (+)= alpha · Σ f(in…)} over all loops.
   *
   * @param operands y first
   * @throws IllegalArgumentException where the layouts need more loops than the kernels have
   */
  public static void map(
      Cuda cuda,
      ElementwiseFunction f,
      float alpha,
      boolean accumulate,
      Loops loops,
      Operand... operands) {
    if (loops.count() > MAX_LOOPS) {
      throw new IllegalArgumentException(
          "elementwise: takes %d loops at most, these layouts need %d: call contiguous()"
              .formatted(MAX_LOOPS, loops.count()));
    }
    var launch = new ElementwiseCuda(cuda, f, alpha, accumulate, loops, operands);
    int unit = launch.vectors() ? UNIT : 1;
    if (loops.lastIsSummed()) {
      launch.sumRows(unit);
    } else if (loops.summedCount() > 1) {
      launch.sumColumns(unit);
    } else {
      launch.map(unit);
    }
  }

  private void map(int unit) {
    long units = loops.keptCount() * loops.last() / unit;
    cuda.kernel("elementwise_map_x" + unit)
        .threads(units)
        .words(words(unit))
        .i32(operands.length)
        .i32(f.ordinal())
        .f32(alpha)
        .i32(accumulate)
        .i64(units)
        .run();
  }

  private void sumRows(int unit) {
    long results = loops.keptCount();
    long terms = loops.summedCount() * loops.last() / unit;
    long piece = Math.max(PIECE_UNITS, Math.ceilDiv(terms, MAX_PIECES));
    int pieces = (int) Math.ceilDiv(terms, piece);
    DeviceMemory partial = cuda.scratch(results * pieces * Double.BYTES);
    CudaKernel kernel = cuda.kernel("elementwise_sum_rows_x" + unit);
    kernel
        .grid(RowGrid.blocks(kernel, results * pieces))
        .ptr(partial)
        .words(words(unit))
        .i32(operands.length)
        .i32(f.ordinal())
        .i64(results)
        .i32(pieces)
        .i64(piece)
        .i64(terms)
        .run();
    finish(partial, results, pieces, pieces, 1);
  }

  private void sumColumns(int unit) {
    long results = loops.keptCount() * loops.last();
    long units = results / unit;
    long terms = loops.summedCount();
    long wanted = Math.min(MAX_PIECES, Math.ceilDiv(COLUMN_THREADS, units));
    long piece = Math.max(PIECE_ROWS, Math.ceilDiv(terms, wanted));
    int pieces = (int) Math.ceilDiv(terms, piece);
    DeviceMemory partial = cuda.scratch(results * pieces * Double.BYTES);
    CudaKernel kernel = cuda.kernel("elementwise_sum_columns_x" + unit);
    kernel
        .grid(Math.ceilDiv(units, kernel.blockSize()), pieces)
        .ptr(partial)
        .words(words(unit))
        .i32(operands.length)
        .i32(f.ordinal())
        .i64(units)
        .i64(piece)
        .i64(terms)
        .run();
    finish(partial, results, pieces, 1, results);
  }

  private void finish(
      DeviceMemory partial, long results, int pieces, long resultStride, long pieceStride) {
    cuda.kernel("elementwise_finish")
        .threads(results)
        .ptr(partial)
        .words(words(1))
        .i32(pieces)
        .i64(resultStride)
        .i64(pieceStride)
        .f32(alpha)
        .i32(accumulate)
        .i64(results)
        .run();
  }

  /** Whether the innermost loop can go in steps of {@link #UNIT}, by 16 bytes at a time. */
  private boolean vectors() {
    boolean vectors = loops.last() % UNIT == 0;
    for (int o = 0; o < operands.length && vectors; o++) {
      if (loops.lastStride(o) == 0) {
        continue; // one element for all
      }
      Operand t = operands[o];
      vectors = loops.lastStride(o) == 1 && t.data.address() % ALIGNMENT == 0;
      for (int d = 0; d < loops.count() - 1; d++) {
        vectors &= t.type.bytes(loops.stride(o, d)) % ALIGNMENT == 0;
      }
    }
    return vectors;
  }

  /** The struct {@code Loops} of the kernels. */
  private long[] words(int unit) {
    long[] w = new long[2 + MAX_LOOPS * (1 + MAX_OPERANDS) + 3 * MAX_OPERANDS];
    int n = loops.count();
    int at = 0;
    for (boolean summed : new boolean[] {false, true}) {
      for (int d = 0; d < n; d++) {
        if (loops.isSummed(d) == summed) {
          int step = d == n - 1 ? unit : 1;
          w[summed ? 1 : 0]++;
          w[2 + at] = loops.size(d) / step;
          for (int o = 0; o < operands.length; o++) {
            w[2 + MAX_LOOPS * (1 + o) + at] = loops.stride(o, d) * step;
          }
          at++;
        }
      }
    }
    int rest = 2 + MAX_LOOPS * (1 + MAX_OPERANDS);
    for (int o = 0; o < operands.length; o++) {
      w[rest + o] = loops.lastStride(o) == 0 ? 0 : 1;
      w[rest + MAX_OPERANDS + o] = operands[o].data.address();
      w[rest + 2 * MAX_OPERANDS + o] = operands[o].type.ordinal();
    }
    return w;
  }
}
