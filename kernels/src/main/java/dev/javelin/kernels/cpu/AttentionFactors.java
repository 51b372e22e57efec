package dev.javelin.kernels.cpu;

import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;
import static jdk.incubator.vector.VectorOperators.UGE;
import static jdk.incubator.vector.VectorOperators.XOR;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * Draws the factors of weights that {@link AttentionDropout} speaks of: first the words of Philox,
 * then in their place 0 or 1/(1-p).
 */
final class AttentionFactors {
  private static final int TILE = AttentionDropout.TILE;

  /** 256 bits at most: a half row of a tile, or two or four parts of one. */
  private static final VectorShape SHAPE =
      Lanes.COUNT > 8 ? VectorShape.S_256_BIT : Lanes.SPECIES.vectorShape();

  private static final VectorSpecies<Long> LONGS = VectorSpecies.of(long.class, SHAPE);
  private static final int COUNT = VectorSpecies.of(int.class, SHAPE).length();
  private static final Class<? extends LongVector> TYPE =
      LONGS.vectorType().asSubclass(LongVector.class);
  private static final LongVector EVEN = LongVector.zero(LONGS).addIndex(2);
  private static final long LOW = 0xFFFFFFFFL;

  private final RowPass<AttentionFactors> words = AttentionFactors::words;
  private final RowPass<AttentionFactors> factors = AttentionFactors::factors;
  private final MemorySegment m;
  private long at;
  private long key;
  private int query;
  private int from;
  private int to;
  private float p;

  /** Factors will lie in {@code m}. */
  AttentionFactors(MemorySegment m) {
    this.m = m;
  }

  /**
   * Factors of the weights of 16 queries and whole tiles of keys: a row for each key, {@link
   * AttentionPanel#ROW} bytes from the one before.
   *
   * @param key of the head
   * @param query the first one, a multiple of 16
   * @param from the first key, a multiple of 16
   * @param to keys behind it may be written up to the next multiple of 16
   */
  void draw(long at, float p, long key, int query, int from, int to) {
    this.at = at;
    this.p = p;
    this.key = key;
    this.query = query;
    this.from = from;
    this.to = to;
    RowPass.run(words, this);
    RowPass.run(factors, this);
  }

  private void words() {
    long tile = at;
    for (int j = from; j < to; j += TILE, tile += TILE * AttentionPanel.ROW) {
      for (int n = 0; n < TILE / 2 * (TILE / 2); n += COUNT) {
        int row = n / (TILE / 2);
        int lane = n % (TILE / 2);
        long place = tile + row * AttentionPanel.ROW + 4L * lane;
        blocks(place, j / 2 + row, query / 2 + lane);
      }
    }
  }

  /**
   * Four words for each of a vector of neighbouring queries. Products of 32 bits need lanes of 64:
   * e has the even queries, o the odd ones; only their lower halves count.
   */
  private void blocks(long place, int keyBlock, int queryBlock) {
    LongVector m0 = LongVector.broadcast(LONGS, Philox.M0);
    LongVector m1 = LongVector.broadcast(LONGS, Philox.M1);
    LongVector low = LongVector.broadcast(LONGS, LOW);
    LongVector e0 = LongVector.broadcast(LONGS, keyBlock);
    LongVector o0 = e0;
    LongVector e1 = EVEN.add(queryBlock);
    LongVector o1 = EVEN.add(queryBlock + 1);
    LongVector e2 = LongVector.zero(LONGS);
    LongVector o2 = e2;
    LongVector e3 = e2;
    LongVector o3 = e2;
    int k0 = (int) key;
    int k1 = (int) (key >>> 32);
    for (int round = 0; round < Philox.ROUNDS; round++) {
      LongVector key0 = LongVector.broadcast(LONGS, k0);
      LongVector key1 = LongVector.broadcast(LONGS, k1);
      LongVector e = TYPE.cast(e0).and(low).mul(m0);
      LongVector o = TYPE.cast(o0).and(low).mul(m0);
      LongVector f = TYPE.cast(e2).and(low).mul(m1);
      LongVector q = TYPE.cast(o2).and(low).mul(m1);
      e0 = f.lanewise(LSHR, 32).lanewise(XOR, TYPE.cast(e1)).lanewise(XOR, key0);
      o0 = q.lanewise(LSHR, 32).lanewise(XOR, TYPE.cast(o1)).lanewise(XOR, key0);
      e2 = e.lanewise(LSHR, 32).lanewise(XOR, TYPE.cast(e3)).lanewise(XOR, key1);
      o2 = o.lanewise(LSHR, 32).lanewise(XOR, TYPE.cast(o3)).lanewise(XOR, key1);
      e1 = f;
      o1 = q;
      e3 = e;
      o3 = o;
      k0 += Philox.WEYL0;
      k1 += Philox.WEYL1;
    }
    long below = TILE / 2 * AttentionPanel.ROW;
    long beside = TILE / 2 * Float.BYTES;
    put(place, e0, o0, low);
    put(place + below, e1, o1, low);
    put(place + beside, e2, o2, low);
    put(place + below + beside, e3, o3, low);
  }

  private void put(long place, LongVector even, LongVector odd, LongVector low) {
    TYPE.cast(even)
        .and(low)
        .or(TYPE.cast(odd).lanewise(LSHL, 32))
        .intoMemorySegment(m, place, ByteOrder.LITTLE_ENDIAN);
  }

  private void factors() {
    FloatVector kept = Lanes.broadcast(DropoutCpu.scale(p));
    IntVector threshold = Lanes.ints((int) DropoutCpu.threshold(p));
    int rows = (to - from + TILE - 1) / TILE * TILE;
    int step = Math.min(TILE, Lanes.COUNT);
    for (int n = 0; n < rows * TILE; n += step) {
      long place = at + n / TILE * AttentionPanel.ROW + 4L * (n % TILE);
      IntVector words = IntVector.fromMemorySegment(Lanes.INTS, m, place, ByteOrder.LITTLE_ENDIAN);
      var stays = words.compare(UGE, threshold).cast(Lanes.SPECIES);
      Lanes.store(Lanes.zero().blend(kept, stays), m, place);
    }
  }
}
