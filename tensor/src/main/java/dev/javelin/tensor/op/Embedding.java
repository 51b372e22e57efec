package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.cudaRows;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.kernels.cpu.EmbeddingCpu;
import dev.javelin.kernels.cuda.EmbeddingCuda;
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
      case Cuda cuda -> EmbeddingCuda.gather(cuda, cudaRows(y), cudaRows(table), ids, null, null);
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
      case Cuda cuda ->
          EmbeddingCuda.gather(
              cuda, cudaRows(y), cudaRows(table), ids, cudaRows(positionTable), positions);
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
      case Cuda cuda -> EmbeddingCuda.scatterAdd(cuda, cudaRows(d), cudaRows(dy), ids, paddingId);
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
      case Cuda cuda -> EmbeddingCuda.positions(cuda, ids, ids.elements(), ids.last(), first);
    }
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
