package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.HeadRows.FLOAT;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * The forward pass of a single query for each head, over a KV cache. With one query there is no
 * panel to fill the lanes, so features lie in lanes for {@code q·k} and for {@code Σ p·v}, and keys
 * lie in lanes for the softmax between. Keys are read in blocks that lie in one page, each once for
 * all query heads that share it.
 */
final class AttentionDecode {
  private static final int BLOCK = HeadPages.PAGE;

  private final AttentionShape shape;
  private final MaskView mask;
  private final HeadView o;
  private final @Nullable MemorySegment lse;
  private final HeadMatrix q;
  private final HeadMatrix k;
  private final HeadMatrix v;
  private final int dim;
  private final long rowBytes;
  private final long scoreBytes; // of one query head
  private final long queryAt;
  private final long scoresAt;
  private final long outAt;
  private final long scratchBytes;

  AttentionDecode(
      HeadView o,
      @Nullable MemorySegment lse,
      HeadView q,
      HeadView k,
      HeadView v,
      AttentionShape shape,
      MaskView mask) {
    this.shape = shape;
    this.mask = mask;
    this.o = o;
    this.lse = lse;
    this.dim = Lanes.pad(shape.dim());
    this.rowBytes = 4L * dim;
    this.scoreBytes = 4L * Lanes.pad(shape.keys());
    ScratchLayout layout = new ScratchLayout();
    this.q = new HeadMatrix(q, shape.dim(), 1, layout);
    this.k = new HeadMatrix(k, shape.dim(), BLOCK, layout);
    this.v = new HeadMatrix(v, shape.dim(), BLOCK, layout);
    this.queryAt = layout.reserve(shape.group() * rowBytes);
    this.scoresAt = layout.reserve(shape.group() * scoreBytes);
    this.outAt = layout.reserve(shape.group() * rowBytes);
    this.scratchBytes = layout.bytes();
  }

  long scratchBytes() {
    return scratchBytes;
  }

  /** All query heads of a key head. */
  void run(MemorySegment scratch, int batch, int kvHead) {
    run(scratch, shape, batch, batch, 0, kvHead);
  }

  /**
   * The same for a query at a place of its own.
   *
   * @param shape with the keys of this sequence
   * @param batch where q and o stand
   * @param time where q and o stand
   * @param sequence where keys, values and mask stand
   */
  void run(
      MemorySegment scratch, AttentionShape shape, int sequence, int batch, int time, int kvHead) {
    int low = Math.max(0, mask.firstKey(shape, sequence, 0));
    int high = Math.max(low, Math.min(shape.keys(), mask.endKey(shape, sequence, 0)));
    int head = kvHead * shape.group();
    for (int g = 0; g < shape.group(); g++) {
      long at = q.open(scratch, batch, time, head + g, 1);
      MemorySegment.copy(q.data(scratch), at, scratch, queryAt + g * rowBytes, rowBytes);
    }
    HeadRows.clear(scratch, outAt, shape.group() * rowBytes);
    for (int from = low, count; from < high; from += count) {
      count = Math.min(BLOCK - from % BLOCK, high - from);
      long rows = k.open(scratch, sequence, from, kvHead, count);
      for (int g = 0; g < shape.group(); g++) {
        long to = scoresAt + g * scoreBytes + 4L * (from - low);
        scores(scratch, to, queryAt + g * rowBytes, k.data(scratch), rows, k.row(), count);
      }
    }
    for (int g = 0; g < shape.group(); g++) {
      normalise(scratch, shape, scoresAt + g * scoreBytes, sequence, head + g, low, high);
    }
    for (int from = low, count; from < high; from += count) {
      count = Math.min(BLOCK - from % BLOCK, high - from);
      long rows = v.open(scratch, sequence, from, kvHead, count);
      for (int g = 0; g < shape.group(); g++) {
        TileProduct.multiply(
            scratch,
            outAt + g * rowBytes,
            rowBytes,
            scratch,
            scoresAt + g * scoreBytes + 4L * (from - low),
            scoreBytes,
            Float.BYTES,
            v.data(scratch),
            rows,
            v.row(),
            1,
            dim / Lanes.COUNT,
            count,
            true);
      }
    }
    for (int g = 0; g < shape.group(); g++) {
      long row = outAt + g * rowBytes;
      HeadRows.put(o, o.at(batch, time, head + g), scratch, row, row, shape.dim(), false);
    }
  }

  /** {@code scale · q·k} for {@code count} keys. */
  private void scores(
      MemorySegment scratch,
      long to,
      long query,
      MemorySegment keys,
      long at,
      long row,
      int count) {
    for (int j = 0; j < count; j++, at += row) {
      FloatVector sum = Lanes.zero();
      for (long d = 0; d < rowBytes; d += Lanes.BYTES) {
        sum = Lanes.load(scratch, query + d).fma(Lanes.load(keys, at + d), sum);
      }
      scratch.set(FLOAT, to + 4L * j, mask.scale() * Lanes.sum(sum));
    }
  }

  /** Scores become probabilities, and lse is written. */
  private void normalise(
      MemorySegment m, AttentionShape shape, long at, int batch, int head, int low, int high) {
    int count = high - low;
    int padded = Lanes.pad(count);
    for (int j = 0; j < count; j++) {
      m.set(FLOAT, at + 4L * j, restricted(shape, m.get(FLOAT, at + 4L * j), batch, head, low + j));
    }
    for (int j = count; j < padded; j++) {
      m.set(FLOAT, at + 4L * j, Float.NEGATIVE_INFINITY);
    }
    float max = max(m, at, padded);
    float sum = max == Float.NEGATIVE_INFINITY ? 0 : exponentials(m, at, padded, max);
    float inverse = sum == 0 ? 0 : 1 / sum;
    FloatVector factor = Lanes.broadcast(inverse);
    for (long j = at; j < at + 4L * padded; j += Lanes.BYTES) {
      Lanes.store(sum == 0 ? Lanes.zero() : Lanes.load(m, j).mul(factor), m, j);
    }
    if (lse != null) {
      lse.setAtIndex(FLOAT, batch * (long) shape.queryHeads() + head, VectorMath.log(sum) + max);
    }
  }

  private float restricted(AttentionShape shape, float score, int batch, int head, int key) {
    if (mask.hides(shape, batch, key)) {
      return Float.NEGATIVE_INFINITY;
    }
    float c = mask.softCap();
    float s = c == 0 ? score : c * VectorMath.tanh(score / c);
    return Math.fma(mask.slope(head), key - shape.firstPosition(), s);
  }

  private static float max(MemorySegment m, long at, int padded) {
    FloatVector max = Lanes.broadcast(Float.NEGATIVE_INFINITY);
    for (long j = at; j < at + 4L * padded; j += Lanes.BYTES) {
      max = max.max(Lanes.load(m, j));
    }
    return Lanes.max(max);
  }

  private static float exponentials(MemorySegment m, long at, int padded, float max) {
    FloatVector base = Lanes.broadcast(max);
    FloatVector sum = Lanes.zero();
    for (long j = at; j < at + 4L * padded; j += Lanes.BYTES) {
      FloatVector p = VectorMath.expOfNegative(Lanes.load(m, j).sub(base));
      Lanes.store(p, m, j);
      sum = sum.add(p);
    }
    return Lanes.sum(sum);
  }
}
