package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import org.jspecify.annotations.Nullable;

/** {@code embedding.cu}; ids are I32. */
public final class EmbeddingCuda {
  private EmbeddingCuda() {}

  /** {@code y[n] = table[ids[n]]}, plus {@code other[otherIds[n]]} where there is one. */
  public static void gather(
      Cuda cuda,
      CudaRows y,
      CudaRows table,
      Addressable ids,
      @Nullable CudaRows other,
      @Nullable Addressable otherIds) {
    boolean vectors = CudaRows.inVectors(y, table, other);
    long unit = CudaRows.unit(y.type(), vectors);
    long units = y.elements() / unit;
    cuda.kernel("embedding_forward", y.type())
        .threads(units)
        .ptr(y)
        .i64(y.stride())
        .ptr(table)
        .i64(table.stride())
        .ptr(ids)
        .i32(table.count())
        .ptr(other)
        .i64(CudaRows.stride(other))
        .ptr(otherIds)
        .i32(other == null ? 0 : other.count())
        .i64(units)
        .i64(Math.max(1, y.cols() / unit))
        .i32(CudaRows.flag(vectors))
        .run();
  }

  /** {@code dTable[v] += Σ_{n: ids[n] = v} dy[n]}, in the order of n. */
  public static void scatterAdd(
      Cuda cuda, CudaRows dTable, CudaRows dy, Addressable ids, int paddingId) {
    boolean vectors = CudaRows.inVectors(dTable, dy);
    long unit = CudaRows.unit(dy.type(), vectors);
    DeviceMemory order = cuda.scratch(2 * DType.I32.bytes(dy.count()));
    CudaKernel sort = cuda.kernel("embedding_order");
    // ids from 0 to the table's size, which stands for all that get no gradient
    sort.grid(Math.ceilDiv(dTable.count() + 1L, sort.blockSize()))
        .ptr(order)
        .ptr(ids)
        .i64(dy.count())
        .i32(dTable.count())
        .i32(paddingId)
        .run();
    CudaKernel kernel = cuda.kernel("embedding_backward", dy.type());
    kernel
        .grid(RowGrid.blocks(kernel, dy.count()), Math.ceilDiv(dy.cols(), RowGrid.WARP * unit))
        .ptr(dTable)
        .i64(dTable.stride())
        .i32(dTable.count())
        .ptr(order)
        .ptr(dy)
        .i64(dy.stride())
        .i64(dy.count())
        .i32(dy.cols())
        .i32(CudaRows.flag(vectors))
        .run();
  }

  /** {@code ids[.., t] = first + t} with {@code length} neighbours in a row. */
  public static void positions(Cuda cuda, Addressable ids, long count, long length, int first) {
    cuda.kernel("embedding_positions")
        .threads(count)
        .ptr(ids)
        .i64(count)
        .i64(length)
        .i32(first)
        .run();
  }
}
