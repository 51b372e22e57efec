package dev.javelin.kernels.cpu;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.kernels.CrossEntropyForm;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The last linear layer and its cross-entropy, some rows at a time, so that the logits of all rows
 * never exist together.
 */
public final class LinearCrossEntropyCpu {
  private static final int CHUNK_LOGITS = 1 << 23; // 32 MB
  private static final int CHUNK_ROWS = 256; // fewer would not pay for packing the weight again

  private LinearCrossEntropyCpu() {}

  /** Rows whose logits best exist at a time; depends on the sizes only. */
  public static int chunkRows(int rows, int vocabulary) {
    return Math.max(1, Math.min(rows, Math.max(CHUNK_ROWS, CHUNK_LOGITS / vocabulary)));
  }

  /** Elements between the rows of the logits: the vocabulary in whole vectors. */
  public static int logitStride(int vocabulary) {
    return Lanes.pad(vocabulary);
  }

  /** A matrix whose rows lie {@code stride} elements apart. */
  public record Matrix(MemorySegment data, DType type, long stride) {
    private MemorySegment from(int row) {
      return data.asSlice(type.bytes(row * stride));
    }
  }

  /**
   * With {@code logits = x·wᵀ}: writes {@code losses} and {@code stats} as {@link
   * CrossEntropyCpu#forward} does where {@code losses} is there, otherwise reads {@code stats};
   * then, where {@code dy} is there, {@code dlogits = }{@link CrossEntropyCpu#backward}, {@code dx
   * (+)= dlogits·w} and {@code dw (+)= dlogitsᵀ·x}. With a bf16 {@code x}, what the two products
   * take is rounded to bf16.
   *
   * @param losses fp32 [rows]
   * @param stats fp32 [rows, 2]
   * @param dx [rows, cols]
   * @param dw fp32 [vocabulary, cols]
   * @param dy fp32 [rows]
   * @param x [rows, cols]
   * @param w [vocabulary, cols]
   * @param logits fp32 [chunk, {@link #logitStride}], any content
   * @param chunk rows whose logits exist at a time: {@link #chunkRows}
   */
  public static void run(
      Cpu cpu,
      @Nullable MemorySegment losses,
      MemorySegment stats,
      @Nullable Matrix dx,
      boolean accumulateX,
      @Nullable Matrix dw,
      boolean accumulateW,
      @Nullable MemorySegment dy,
      Matrix x,
      Matrix w,
      MemorySegment targets,
      MemorySegment logits,
      int rows,
      int cols,
      int vocabulary,
      int chunk,
      CrossEntropyForm form) {
    Matrix l = new Matrix(logits, DType.F32, logitStride(vocabulary));
    // Rounded in place, for products of two bf16: each row of the gradient begins where it did.
    Matrix dl = x.type == DType.BF16 ? new Matrix(logits, x.type, 2 * l.stride) : l;
    for (int from = 0; from < rows; from += chunk) {
      int n = Math.min(chunk, rows - from);
      MemorySegment xs = x.from(from);
      MemorySegment t = targets.asSlice(4L * from);
      MemorySegment s = stats.asSlice(8L * from);
      matmul(cpu, l, logits, x, xs, false, w, w.data, true, n, vocabulary, cols, false);
      if (losses != null) {
        MemorySegment y = losses.asSlice(4L * from);
        CrossEntropyCpu.forward(cpu, y, s, logits, l.stride, l.type, t, n, vocabulary, form);
      }
      if (dy != null) {
        MemorySegment g = dy.asSlice(4L * from);
        CrossEntropyCpu.backward(
            cpu,
            logits,
            dl.type,
            dl.stride,
            false,
            g,
            logits,
            l.stride,
            l.type,
            t,
            s,
            n,
            vocabulary,
            form);
        if (dx != null) {
          MemorySegment d = dx.from(from);
          matmul(cpu, dx, d, dl, logits, false, w, w.data, false, n, cols, vocabulary, accumulateX);
        }
        if (dw != null) {
          boolean add = accumulateW || from > 0;
          matmul(cpu, dw, dw.data, dl, logits, true, x, xs, false, vocabulary, cols, n, add);
        }
      }
    }
  }

  private static void matmul(
      Cpu cpu,
      Matrix c,
      MemorySegment cs,
      Matrix a,
      MemorySegment as,
      boolean transA,
      Matrix b,
      MemorySegment bs,
      boolean transB,
      int m,
      int n,
      int k,
      boolean accumulate) {
    MatmulCpu.run(
        cpu,
        cs,
        c.type,
        c.stride,
        as,
        a.type,
        a.stride,
        transA,
        bs,
        b.type,
        b.stride,
        transB,
        m,
        n,
        k,
        accumulate);
  }
}
