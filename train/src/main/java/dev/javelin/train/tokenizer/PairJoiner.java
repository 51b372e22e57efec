package dev.javelin.train.tokenizer;

import org.jspecify.annotations.Nullable;

/**
 * Joins neighbours: of all pairs that have a rank the one of lowest rank, the leftmost of equals,
 * until none has one. A linked list and a heap of candidates make it O(n log n).
 *
 * @param pairs {@link #pair} of ids to the number of the merge
 * @param merged by merge, the id of the joined pair
 * @param ranks by merge; null where the number is the rank
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record PairJoiner(LongIntMap pairs, int[] merged, int @Nullable [] ranks) {

  static long pair(int left, int right) {
    return (long) left << 32 | right;
  }

  private int rank(int left, int right) {
    int merge = pairs.get(pair(left, right));
    return merge == LongIntMap.ABSENT || ranks == null ? merge : ranks[merge];
  }

  /** Joins pairs within {@code ids[0, n)} in place and returns how many ids remain. */
  int join(int[] ids, int n) {
    if (n < 2 || pairs.size() == 0) {
      return n;
    }
    int[] next = new int[n];
    int[] previous = new int[n];
    LongHeap candidates = new LongHeap(n);
    for (int i = 0; i < n; i++) {
      next[i] = i + 1 < n ? i + 1 : -1;
      previous[i] = i - 1;
      offer(candidates, ids, i, next[i]);
    }
    while (!candidates.isEmpty()) {
      long candidate = candidates.poll();
      int left = (int) candidate;
      int right = next[left];
      // Joined meanwhile (ids < 0), or one of the two has grown since it was offered.
      if (ids[left] < 0 || right < 0 || rank(ids[left], ids[right]) != (int) (candidate >>> 32)) {
        continue;
      }
      ids[left] = merged[pairs.get(pair(ids[left], ids[right]))];
      ids[right] = -1;
      next[left] = next[right];
      if (next[left] >= 0) {
        previous[next[left]] = left;
      }
      offer(candidates, ids, left, next[left]);
      if (previous[left] >= 0) {
        offer(candidates, ids, previous[left], left);
      }
    }
    int kept = 0;
    for (int i = 0; i >= 0; i = next[i]) {
      ids[kept++] = ids[i];
    }
    return kept;
  }

  private void offer(LongHeap candidates, int[] ids, int left, int right) {
    if (right >= 0) {
      int rank = rank(ids[left], ids[right]);
      if (rank != LongIntMap.ABSENT) {
        candidates.offer((long) rank << 32 | left);
      }
    }
  }
}
