package dev.javelin.kernels.cpu;

import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;
import static jdk.incubator.vector.VectorOperators.UGE;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * Random zeros among the weights of attention, drawn where they are wanted and never kept.
 *
 * <p>Each head of each sequence has a key of its own: the first two words of {@link Philox} at
 * counter (head, sequence, step, site) under the seed. Under it the weights are cut into tiles of
 * 16 queries and 16 keys; a block of Philox at counter (key block, query block, 0, 0) serves the
 * four weights of a tile that lie 8 queries or 8 keys apart, with block = 8 · (index / 16) + index
 * mod 8 of either:
 *
 * <pre>
 *             key j   key j + 8
 * query i     word 0  word 1
 * query i+8   word 2  word 3
 * </pre>
 *
 * <p>Eight, because a thread of a GPU has such weights both where queries are rows of a tile and
 * where keys are, so that each kernel uses all four words.
 */
public record AttentionDropout(float p, DropoutCpu.Key key) {
  /** Queries and keys of a tile. */
  static final int TILE = 16;

  /** 256 bits at most: a half row of a tile, or two or four parts of one. */
  private static final VectorShape SHAPE =
      Lanes.COUNT > 8 ? VectorShape.S_256_BIT : Lanes.SPECIES.vectorShape();

  private static final VectorSpecies<Long> LONGS = VectorSpecies.of(long.class, SHAPE);
  private static final VectorSpecies<Float> FLOATS = VectorSpecies.of(float.class, SHAPE);
  private static final LongVector EVEN = LongVector.zero(LONGS).addIndex(2);
  private static final long LOW = 0xFFFFFFFFL;

  /** The key of a head's weights. */
  long headKey(int[] words, int batch, int head) {
    Philox.block(words, head, key.firstSequence() + batch, key.step(), key.site(), key.seed());
    return words[0] & LOW | (long) words[1] << 32;
  }

  /**
   * Factors 0 or 1/(1-p) of the weights of 16 queries and whole tiles of keys: a row for each key,
   * {@link AttentionPanel#ROW} bytes from the one before.
   *
   * @param query the first one, a multiple of 16
   * @param from the first key, a multiple of 16
   * @param to keys behind it may be written up to the next multiple of 16
   */
  void factors(MemorySegment m, long at, long headKey, int query, int from, int to) {
    float kept = DropoutCpu.scale(p);
    int threshold = (int) DropoutCpu.threshold(p);
    for (int key = from; key < to; key += TILE, at += TILE * AttentionPanel.ROW) {
      for (int j = 0; j < TILE / 2; j++) {
        for (int i = 0; i < TILE / 2; i += FLOATS.length()) {
          long to0 = at + j * AttentionPanel.ROW + 4L * i;
          blocks(m, to0, key / 2 + j, query / 2 + i, headKey, threshold, kept);
        }
      }
    }
  }

  /**
   * Four words for each of a vector of neighbouring queries. Products of 32 bits need lanes of 64:
   * e has the even queries, o the odd ones; only their lower halves count.
   */
  private static void blocks(
      MemorySegment m, long at, int keyBlock, int queryBlock, long key, int threshold, float kept) {
    LongVector m0 = LongVector.broadcast(LONGS, Philox.M0);
    LongVector m1 = LongVector.broadcast(LONGS, Philox.M1);
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
      LongVector ep0 = e0.and(LOW).mul(m0);
      LongVector op0 = o0.and(LOW).mul(m0);
      LongVector ep1 = e2.and(LOW).mul(m1);
      LongVector op1 = o2.and(LOW).mul(m1);
      e0 =
          ep1.lanewise(LSHR, 32)
              .lanewise(VectorOperators.XOR, e1)
              .lanewise(VectorOperators.XOR, k0);
      o0 =
          op1.lanewise(LSHR, 32)
              .lanewise(VectorOperators.XOR, o1)
              .lanewise(VectorOperators.XOR, k0);
      e2 =
          ep0.lanewise(LSHR, 32)
              .lanewise(VectorOperators.XOR, e3)
              .lanewise(VectorOperators.XOR, k1);
      o2 =
          op0.lanewise(LSHR, 32)
              .lanewise(VectorOperators.XOR, o3)
              .lanewise(VectorOperators.XOR, k1);
      e1 = ep1;
      o1 = op1;
      e3 = ep0;
      o3 = op0;
      k0 += Philox.WEYL0;
      k1 += Philox.WEYL1;
    }
    long below = TILE / 2 * AttentionPanel.ROW;
    long beside = TILE / 2 * Float.BYTES;
    store(m, at, e0, o0, threshold, kept);
    store(m, at + below, e1, o1, threshold, kept);
    store(m, at + beside, e2, o2, threshold, kept);
    store(m, at + below + beside, e3, o3, threshold, kept);
  }

  private static void store(
      MemorySegment m, long at, LongVector even, LongVector odd, int threshold, float kept) {
    var words = even.and(LOW).or(odd.lanewise(LSHL, 32)).reinterpretAsInts();
    FloatVector.zero(FLOATS)
        .blend(kept, words.compare(UGE, threshold).cast(FLOATS))
        .intoMemorySegment(m, at, ByteOrder.LITTLE_ENDIAN);
  }
}
