package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.flag;
import static dev.javelin.tensor.op.Operands.inVectors;
import static dev.javelin.tensor.op.Operands.strideOf;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.kernels.cpu.EmbeddingCpu;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** Rows of a table, chosen by id. */
public final class Embedding {
  /** For {@code paddingId}: every row gets its gradient. */
  public static final int NO_PADDING = -1;

  private static final long VECTOR_BYTES = 16;
  private static final long WARP = 32;
  private static final int WARPS = 4; // of a block

  private Embedding() {}

  /**
   * {@code y[n] = table[ids[n]]}; y [.., C], ids I32 of y's leading dimensions, table [V, C]; y and
   * table of one float type, with dense rows.
   *
   * @throws IllegalArgumentException for an id outside the vocabulary, naming both
   */
  public static void forward(Tensor y, Tensor table, Tensor ids) {
    check(y, table, ids, "vocabulary");
    switch (y.device()) {
      case Cpu cpu ->
          EmbeddingCpu.gather(
              cpu,
              y.segment(),
              y.rowStride(),
              table.segment(),
              table.rowStride(),
              ids.segment(),
              y.dtype(),
              y.rows(),
              y.last());
      case Cuda cuda -> gather(cuda, y, table, ids, null, null);
    }
  }

  /**
   * With learned positions: {@code y[n] = table[ids[n]] + positionTable[positions[n]]}; positions
   * I32 of the shape of ids, positionTable [maxPositions, C].
   *
   * @see <a href="https://arxiv.org/abs/1706.03762">Attention is all you need</a>
   */
  public static void forward(
      Tensor y, Tensor table, Tensor ids, Tensor positionTable, Tensor positions) {
    check(y, table, ids, "vocabulary");
    check(y, positionTable, positions, "position table");
    switch (y.device()) {
      case Cpu cpu ->
          EmbeddingCpu.gatherSum(
              cpu,
              y.segment(),
              y.rowStride(),
              table.segment(),
              table.rowStride(),
              ids.segment(),
              positionTable.segment(),
              positionTable.rowStride(),
              positions.segment(),
              y.dtype(),
              y.rows(),
              y.last());
      case Cuda cuda -> gather(cuda, y, table, ids, positionTable, positions);
    }
  }

  /**
   * {@code dTable[v] = Σ_{n: ids[n] = v} dy[n]}, added in the order of n; dTable F32 [V, C] or
   * {@code null}, dy of any float type. The gradient of a position table is this with the positions
   * as ids.
   *
   * @param paddingId an id whose row gets no gradient, or {@link #NO_PADDING}
   */
  public static void backward(@Nullable Grad dTable, Tensor dy, Tensor ids, int paddingId) {
    if (dTable == null) {
      return;
    }
    Tensor d = dTable.tensor();
    Check.that("embedding backward")
        .weightGrad("dTable", dTable, "dTable", d)
        .rank("dTable", d, 2)
        .shape("dTable", d, Shape.of(d.dim(0), dy.last()))
        .shape("ids", ids, leading(dy))
        .floats("dy", dy)
        .denseRows("dTable", dTable)
        .denseRows("dy", dy);
    if (!dTable.accumulate()) {
      Fill.zero(d);
    }
    switch (dy.device()) {
      case Cpu cpu ->
          EmbeddingCpu.scatterAdd(
              cpu,
              d.segment(),
              d.rowStride(),
              ids.segment(),
              paddingId,
              dy.segment(),
              dy.rowStride(),
              dy.dtype(),
              dy.rows(),
              dy.last());
      case Cuda cuda -> scatter(cuda, d, dy, ids, paddingId);
    }
  }

  /**
   * {@code ids[.., t] = first + t}: the positions of tokens that follow {@code first} others; ids
   * I32, contiguous.
   */
  public static void positions(Tensor ids, int first) {
    Check.that("positions").dtype("ids", ids, DType.I32).contiguous("ids", ids);
    switch (ids.device()) {
      case Cpu _ -> {
        MemorySegment s = ids.segment();
        for (int i = 0; i < ids.elements(); i++) {
          s.setAtIndex(ValueLayout.JAVA_INT_UNALIGNED, i, first + i % ids.last());
        }
      }
      case Cuda cuda ->
          cuda.kernel("embedding_positions")
              .threads(ids.elements())
              .ptr(ids)
              .i64(ids.elements())
              .i64(ids.last())
              .i32(first)
              .run();
    }
  }

  private static void gather(
      Cuda cuda,
      Tensor y,
      Tensor table,
      Tensor ids,
      @Nullable Tensor other,
      @Nullable Tensor otherIds) {
    boolean vectors = inVectors(y, table, other);
    long unit = vectors ? VECTOR_BYTES / y.dtype().bytes(1) : 1;
    long units = y.elements() / unit;
    cuda.kernel("embedding_forward", y.dtype())
        .threads(units)
        .ptr(y)
        .i64(y.rowStride())
        .ptr(table)
        .i64(table.rowStride())
        .ptr(ids)
        .i32(table.dim(0))
        .ptr(other)
        .i64(strideOf(other))
        .ptr(otherIds)
        .i32(other == null ? 0 : other.dim(0))
        .i64(units)
        .i64(Math.max(1, y.last() / unit))
        .i32(flag(vectors))
        .run();
  }

  private static void scatter(Cuda cuda, Tensor d, Tensor dy, Tensor ids, int paddingId) {
    boolean vectors = inVectors(d, dy);
    long unit = vectors ? VECTOR_BYTES / dy.dtype().bytes(1) : 1;
    cuda.kernel("embedding_backward", dy.dtype())
        .grid(Math.ceilDiv(dy.rows(), WARPS), Math.ceilDiv(dy.last(), WARP * unit))
        .ptr(d)
        .i64(d.rowStride())
        .i32(d.dim(0))
        .ptr(ids)
        .i32(paddingId)
        .ptr(dy)
        .i64(dy.rowStride())
        .i64(dy.rows())
        .i32(dy.last())
        .i32(flag(vectors))
        .run();
  }

  private static void check(Tensor y, Tensor table, Tensor ids, String what) {
    Check.that("embedding")
        .floats("table", table)
        .rank("table", table, 2)
        .shape("table", table, Shape.of(table.dim(0), y.last()))
        .dtype("y", y, table.dtype())
        .shape("ids", ids, leading(y))
        .denseRows("y", y)
        .denseRows("table", table);
    Ids.check("embedding", "ids", ids, table.dim(0), what, 0);
  }

  private static Shape leading(Tensor y) {
    int[] dims = y.shape().toArray();
    return Shape.of(Arrays.copyOf(dims, dims.length - 1));
  }
}
