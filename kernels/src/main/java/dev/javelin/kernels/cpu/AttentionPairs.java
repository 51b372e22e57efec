package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.AttentionPanel.ROW;
import static dev.javelin.kernels.cpu.AttentionPanel.WIDTH;
import static dev.javelin.kernels.cpu.AttentionScores.KEYS;

import dev.javelin.device.DType;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The products of attention over bf16 heads, on the tile of bf16 products. Each factor is brought
 * into the tile's panels: K and V once for a head, Q and dO once for a panel of queries, P and dS,
 * rounded to bf16, once for a block. Sums are fp32.
 *
 * <pre>
 *   rows (A)              columns (B)
 *   K or V, keys          Q or dO, queries       k: features   S, dP
 *   P or dS, queries      V or K, features       k: keys       O, dQ
 *   P or dS, keys         dO or Q, features      k: queries    dV, dK
 * </pre>
 *
 * Parts of a product that no query of a tile sees are left out; within a tile they are zeros in P
 * and dS.
 */
final class AttentionPairs {
  private static final MatmulOperand ACROSS = new MatmulOperand(0, DType.BF16, 1, false, null);

  private final MatmulPairTile tile;
  private final int dim;
  private final int keys;
  private final long blockBytes;
  private final long roundedAt;
  private final long turnedAt;
  private final long tileAt;
  private final long packAt;

  AttentionPairs(MatmulPairTile tile, AttentionShape shape, ScratchLayout layout) {
    this.tile = tile;
    this.dim = shape.dim();
    this.keys = shape.keys();
    this.blockBytes = Math.ceilDiv(KEYS, tile.rows) * tile.panelBytes(tile.rows, dim);
    this.roundedAt = layout.reserve(2L * KEYS * WIDTH);
    int most = Math.max(KEYS, WIDTH);
    this.turnedAt =
        layout.reserve(Math.ceilDiv(most, tile.rows) * tile.panelBytes(tile.rows, most));
    this.tileAt = layout.reserve(4L * tile.rows * tile.cols);
    this.packAt = layout.reserve(tile.spareBytes(ACROSS, ACROSS, most));
  }

  /** The tile for heads of these types; {@code null} where they are computed in fp32. */
  static @Nullable MatmulPairTile tile(HeadView... heads) {
    for (HeadView head : heads) {
      if (head.type() != DType.BF16) {
        return null;
      }
    }
    return Bf16Products.tile();
  }

  /** A matrix of {@code stride} columns in scratch memory, its rows lines or its columns. */
  static MatmulOperand operand(MemorySegment scratch, long at, int stride, boolean alongK) {
    return new MatmulOperand(scratch.address() + at, DType.BF16, stride, alongK, null);
  }

  /** What {@link #round} left, as rows by keys or by queries. */
  MatmulOperand rounded(MemorySegment scratch, boolean byKeys) {
    return operand(scratch, roundedAt, WIDTH, byKeys);
  }

  /** Copies positions of a head one behind the other. */
  void copy(
      MemorySegment scratch, long to, HeadView view, int batch, int time, int head, int count) {
    long from = view.at(batch, time, head);
    for (int t = 0; t < count; t++) {
      MemorySegment.copy(view.data(), from + t * view.row(), scratch, to + 2L * t * dim, 2L * dim);
    }
  }

  /** Bytes of the panels of all keys as rows. */
  long rowPanelBytes() {
    return Math.ceilDiv(keys, KEYS) * blockBytes;
  }

  void packRows(MemorySegment scratch, long to, MatmulOperand x) {
    long address = scratch.address();
    for (int j = 0; j < keys; j += KEYS, to += blockBytes) {
      tile.packA(address + to, x, j, Math.min(KEYS, keys - j), 0, dim, address + packAt);
    }
  }

  /** Bytes of the panels of so many columns. */
  long columnPanelBytes(int columns, int depth) {
    return Math.ceilDiv(columns, tile.cols) * tile.panelBytes(tile.cols, depth);
  }

  void packColumns(MemorySegment scratch, long to, MatmulOperand x, int columns, int depth) {
    long address = scratch.address();
    tile.packB(address + to, x, 0, columns, 0, depth, address + packAt);
  }

  /**
   * {@code block[j, i] = Σ_d rows[j, d] · columns[i, d]} for the keys {@code [from, to)}, as far as
   * some query of a tile has them in range.
   *
   * @param rowsAt panels of {@link #packRows}
   * @param columnsAt panels of the queries of {@code panel}
   */
  void scores(AttentionPanel panel, long blockAt, long rowsAt, long columnsAt, int from, int to) {
    long address = panel.scratch().address();
    long rows = address + rowsAt + from / KEYS * blockBytes;
    for (int i = 0; i < panel.count(); i += tile.cols) {
      int queries = Math.min(tile.cols, panel.count() - i);
      int low = Math.clamp(panel.low(i / Lanes.COUNT), from, to) - from;
      int high = Math.clamp(panel.high((i + queries - 1) / Lanes.COUNT), from, to) - from;
      long columns = address + columnsAt + i / tile.cols * tile.panelBytes(tile.cols, dim);
      for (int j = low / tile.rows * tile.rows; j < high; j += tile.rows) {
        tile.multiply(
            address + blockAt + j * ROW + 4L * i,
            ROW,
            rows + j / tile.rows * tile.panelBytes(tile.rows, dim),
            columns,
            dim,
            Math.min(tile.rows, to - from - j),
            queries,
            false,
            false,
            address + tileAt);
      }
    }
  }

  /** Rounds a block of scores, zeros where a vector of queries does not have a key in range. */
  void round(AttentionPanel panel, long blockAt, int from, int to) {
    MemorySegment scratch = panel.scratch();
    for (int v = 0; v < panel.vectors(); v++) {
      long at = blockAt + (long) v * Lanes.BYTES;
      int low = Math.clamp(panel.low(v), from, to);
      int high = Math.clamp(panel.high(v), low, to);
      clear(scratch, at, low - from);
      clear(scratch, at + (high - from) * ROW, to - high);
    }
    Half.narrow(scratch, roundedAt, DType.BF16, scratch, blockAt, (to - from) * WIDTH);
  }

  private static void clear(MemorySegment m, long at, int rows) {
    for (int r = 0; r < rows; r++) {
      Lanes.store(Lanes.zero(), m, at + r * ROW);
    }
  }

  /**
   * {@code sums[i, d] += Σ_j rounded[j, i] · columns[j, d]} over the keys {@code [from, to)} for
   * the queries of a panel.
   *
   * @param x {@link #rounded} by queries
   * @param columnsAt panels of all keys by features
   */
  void toQueries(
      AttentionPanel panel,
      MatmulOperand x,
      long sumsAt,
      long rowBytes,
      long columnsAt,
      int from,
      int to) {
    long address = panel.scratch().address();
    long spare = address + tileAt;
    int count = panel.count();
    int depth = to - from;
    tile.packA(address + turnedAt, x, 0, count, 0, depth, address + packAt);
    for (int i = 0; i < count; i += tile.rows) {
      int queries = Math.min(tile.rows, count - i);
      int low = Math.clamp(panel.low(i / Lanes.COUNT), from, to) - from;
      int high = Math.clamp(panel.high((i + queries - 1) / Lanes.COUNT), from, to) - from;
      low = low / tile.kStep() * tile.kStep();
      if (low < high) {
        long rows = address + turnedAt + i / tile.rows * tile.panelBytes(tile.rows, depth);
        long columns = address + columnsAt + 2L * tile.cols * (from + low);
        rows(
            address + sumsAt + i * rowBytes,
            rowBytes,
            rows,
            low,
            columns,
            keys,
            queries,
            high,
            spare);
      }
    }
  }

  /**
   * {@code sums[j, d] += Σ_i rounded[j, i] · columns[i, d]} over the queries of a panel for the
   * keys {@code [from, to)}.
   *
   * @param x {@link #rounded} by keys
   * @param sums address of the sums of key {@code from}
   * @param columnsAt panels of the panel's queries by features
   */
  void toKeys(
      AttentionPanel panel,
      MatmulOperand x,
      long sums,
      long rowBytes,
      long columnsAt,
      int from,
      int to) {
    long address = panel.scratch().address();
    long spare = address + tileAt;
    int count = panel.count();
    tile.packA(address + turnedAt, x, 0, to - from, 0, count, address + packAt);
    for (int j = 0; j < to - from; j += tile.rows) {
      int keysNow = Math.min(tile.rows, to - from - j);
      int first = 0;
      while (first < panel.vectors() && panel.high(first) <= from + j) {
        first++;
      }
      int behind = panel.vectors();
      while (behind > first && panel.low(behind - 1) >= from + j + keysNow) {
        behind--;
      }
      int low = first * Lanes.COUNT / tile.kStep() * tile.kStep();
      int high = Math.min(count, behind * Lanes.COUNT);
      if (first < behind) {
        long rows = address + turnedAt + j / tile.rows * tile.panelBytes(tile.rows, count);
        long columns = address + columnsAt + 2L * tile.cols * low;
        rows(sums + j * rowBytes, rowBytes, rows, low, columns, count, keysNow, high, spare);
      }
    }
  }

  /** One panel of rows times all features, over {@code [low, high)} of k. */
  private void rows(
      long sums,
      long rowBytes,
      long rows,
      int low,
      long columns,
      int columnDepth,
      int count,
      int high,
      long spare) {
    for (int d = 0; d < dim; d += tile.cols) {
      tile.multiply(
          sums + 4L * d,
          rowBytes,
          rows + 2L * tile.rows * low,
          columns + d / tile.cols * tile.panelBytes(tile.cols, columnDepth),
          high - low,
          count,
          Math.min(tile.cols, dim - d),
          true,
          false,
          spare);
    }
  }
}
