package dev.javelin.kernels.cpu;

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

  /** The key of a head's weights. */
  long headKey(int[] words, int batch, int head) {
    Philox.block(words, head, key.firstSequence() + batch, key.step(), key.site(), key.seed());
    return words[0] & 0xFFFFFFFFL | (long) words[1] << 32;
  }
}
