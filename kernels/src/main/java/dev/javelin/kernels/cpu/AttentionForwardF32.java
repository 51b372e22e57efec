package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.AttentionPanel.ROW;
import static dev.javelin.kernels.cpu.AttentionPanel.WIDTH;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The forward pass with fp32 products. Queries lie in lanes, so K and V are read where they are;
 * only Q is transposed, once per panel. Heads of other types are widened first.
 */
final class AttentionForwardF32 extends AttentionForward {
  private final HeadMatrix q;
  private final HeadMatrix k;
  private final HeadMatrix v;
  private final long queryAt;

  AttentionForwardF32(
      HeadView o,
      MemorySegment lse,
      HeadView q,
      HeadView k,
      HeadView v,
      AttentionShape shape,
      MaskView mask,
      @Nullable AttentionDropout dropout) {
    super(o, lse, shape, mask, dropout);
    this.q = new HeadMatrix(q, shape.dim(), WIDTH, layout);
    this.k = new HeadMatrix(k, shape.dim(), shape.keys(), layout);
    this.v = new HeadMatrix(v, shape.dim(), shape.keys(), layout);
    this.queryAt = layout.reserve(dim * ROW);
  }

  @Override
  void openHead(AttentionPanel panel, int batch, int kvHead) {
    panel.keysAt = k.open(panel.scratch(), batch, 0, kvHead, shape.keys());
    panel.valuesAt = v.open(panel.scratch(), batch, 0, kvHead, shape.keys());
  }

  @Override
  void open(AttentionPanel panel, int head) {
    MemorySegment scratch = panel.scratch();
    int count = panel.count();
    long at = q.open(scratch, panel.batch(), panel.start(), head, count);
    HeadRows.transpose(
        scratch,
        queryAt,
        ROW,
        q.data(scratch),
        at,
        q.row(),
        count,
        dim,
        panel.width(),
        mask.scale());
  }

  @Override
  void scores(AttentionPanel panel, int from, int to) {
    MemorySegment keys = k.data(panel.scratch());
    AttentionScores.product(panel, blockAt, keys, panel.keysAt, k.row(), queryAt, dim, from, to);
  }

  @Override
  void values(AttentionPanel panel, int i, int from, int low, int high, boolean add) {
    if (low < high || !add) {
      MemorySegment scratch = panel.scratch();
      TileProduct.multiply(
          scratch,
          outAt + (long) i * Lanes.COUNT * rowBytes,
          rowBytes,
          scratch,
          blockAt + (low - from) * ROW + (long) i * Lanes.BYTES,
          Float.BYTES,
          ROW,
          v.data(scratch),
          panel.valuesAt + low * v.row(),
          v.row(),
          panel.queries(i),
          dim / Lanes.COUNT,
          high - low,
          add);
    }
  }

  @Override
  void values(AttentionPanel panel, int from, int to) {}
}
