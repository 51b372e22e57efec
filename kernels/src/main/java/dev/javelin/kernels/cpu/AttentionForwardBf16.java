package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.AttentionPanel.ROW;
import static dev.javelin.kernels.cpu.AttentionPanel.WIDTH;

import dev.javelin.device.DType;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The forward pass over bf16 heads on the processor's bf16 unit. P is rounded to bf16 once it has
 * been summed; the products are those of {@link AttentionPairs}.
 */
final class AttentionForwardBf16 extends AttentionForward {
  private static final int ALONG = 0; // places among the operands of a thread
  private static final int ACROSS = 1;
  private static final int BY_QUERIES = 2;

  private final AttentionPairs pairs;
  private final HeadView q;
  private final HeadView k;
  private final HeadView v;
  private final long rowsAt;
  private final long keysAt;
  private final long valuesAt;
  private final long queriesAt;

  AttentionForwardBf16(
      MatmulPairTile tile,
      HeadView o,
      MemorySegment lse,
      HeadView q,
      HeadView k,
      HeadView v,
      AttentionShape shape,
      MaskView mask,
      @Nullable AttentionDropout dropout) {
    super(o, lse, shape, mask, dropout);
    this.pairs = new AttentionPairs(tile, shape, layout);
    this.q = q;
    this.k = k;
    this.v = v;
    int d = shape.dim();
    this.rowsAt = layout.reserve(DType.BF16.bytes((long) Math.max(shape.keys(), WIDTH) * d));
    this.keysAt = layout.reserve(pairs.rowPanelBytes());
    this.valuesAt = layout.reserve(pairs.columnPanelBytes(d, shape.keys()));
    this.queriesAt = layout.reserve(pairs.columnPanelBytes(WIDTH, d));
  }

  @Override
  MatmulOperand[] operands(MemorySegment scratch) {
    int d = shape.dim();
    return new MatmulOperand[] {
      AttentionPairs.operand(scratch, rowsAt, d, true),
      AttentionPairs.operand(scratch, rowsAt, d, false),
      pairs.rounded(scratch, false)
    };
  }

  @Override
  void openHead(AttentionPanel panel, int batch, int kvHead) {
    MemorySegment scratch = panel.scratch();
    pairs.copy(scratch, rowsAt, k, batch, 0, kvHead, shape.keys());
    pairs.packRows(scratch, keysAt, panel.operands[ALONG]);
    pairs.copy(scratch, rowsAt, v, batch, 0, kvHead, shape.keys());
    pairs.packColumns(scratch, valuesAt, panel.operands[ACROSS], shape.dim(), shape.keys());
  }

  @Override
  void open(AttentionPanel panel, int head) {
    MemorySegment scratch = panel.scratch();
    int count = panel.count();
    pairs.copy(scratch, rowsAt, q, panel.batch(), panel.start(), head, count);
    pairs.packColumns(scratch, queriesAt, panel.operands[ALONG], count, shape.dim());
    HeadRows.clear(scratch, outAt, WIDTH * rowBytes);
  }

  @Override
  void scores(AttentionPanel panel, int from, int to) {
    pairs.scores(panel, blockAt, keysAt, queriesAt, from, to);
    for (int i = 0; i < panel.vectors(); i++) {
      int low = Math.clamp(panel.low(i), from, to);
      int high = Math.clamp(panel.high(i), low, to);
      long at = blockAt + (low - from) * ROW + (long) i * Lanes.BYTES;
      AttentionScores.scale(panel.scratch(), at, high - low, mask.scale());
    }
  }

  @Override
  void values(AttentionPanel panel, int i, int from, int low, int high, boolean add) {}

  @Override
  void values(AttentionPanel panel, int from, int to) {
    pairs.round(panel, blockAt, from, to);
    pairs.toQueries(panel, panel.operands[BY_QUERIES], outAt, rowBytes, valuesAt, from, to);
  }
}
