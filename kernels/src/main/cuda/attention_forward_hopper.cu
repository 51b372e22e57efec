// attention_forward_hopper.cu — o = softmax(scale·q·kᵀ, masked) · v,  lse = ln Σ exp; half types, 9.0   docs/kernels/attention.md
//   the sums of attention_forward.cu, where tiles arrive by TMA and wgmma reads them from shared memory itself
//   Shah et al. 2024, FlashAttention-3, arXiv:2407.08608
// Tiling: a block has 128 queries of a head, 192 for D = 64; keys and values come by in tiles of 128.
//
//   warpgroup 0, one warp:    next work → queries; wait empty → announce bytes → keys, then values  registers: 24, 32 for D = 64
//   the others, 64 queries each:                                                                     240, 160 for D = 64
//     wait for the turn → S = Q·Kᵀ of the next tile, O += P·V of this one → pass the turn on → softmax of S → O·2^(m − m')
//
//   S, P and O stay in registers. Tensor cores add P·V while its warpgroup makes probabilities of the next scores, and then
//   multiply for the others: their products come in turns, so that one's softmax meets another's products and not its
//   softmax. Keys and values have a ring each: keys are released a tile earlier. Blocks stay, one on a multiprocessor, and
//   take queries by queries until there are none: those of the next come while these are multiplied, and results leave
//   meanwhile. Who computes what depends on the clock, what is computed does not.
// Traffic (bytes): q, o once, 4·B·H·Tq·D; k and v once per block, from the L2 cache; lse 4·B·H·Tq.
//   FLOPs: 4·B·H·Tq·Tk·D, half of that for a causal mask.
// Measured: not yet.
#include "attention_mask.cuh"
#include "hopper_tile.cuh"

template <int kDim_>
struct HopperAttention {
  static constexpr int kDim = kDim_, kWarpgroups = kDim == 64 ? 3 : 2, kThreads = 128 * (1 + kWarpgroups);
  static constexpr int kRows = 64 * kWarpgroups, kCols = 128, kStages = 2, kQueryStages = 2;
  static constexpr int kBringRegisters = kWarpgroups == 3 ? 32 : 24, kAttendRegisters = kWarpgroups == 3 ? 160 : 240;
  static constexpr int kBoxes = kDim / 64;  // side by side: a box is 128 bytes wide
  static constexpr int kQueryBoxBytes = kRows * 128, kQueryBytes = kBoxes * kQueryBoxBytes;
  static constexpr int kBoxBytes = kCols * 128, kTileBytes = kBoxes * kBoxBytes;  // of keys or values
  static_assert((kQueryStages * kQueryBytes + 2 * kStages * kTileBytes) <= 232448 - 1024);
};

// Queries of a head, and their tiles of keys: [begin, begin + tiles·kCols). tiles < 0: there is no more work.
struct AttentionWork {
  int row, head, batch, begin, tiles;
};

// A block's barriers. full: one arrival and a tile's bytes; empty: an arrival of each multiplying warpgroup. `work` comes
// with the queries.
template <class A>
struct AttentionBarriers {
  uint64_t queries_full[A::kQueryStages], queries_empty[A::kQueryStages];
  uint64_t keys_full[A::kStages], keys_empty[A::kStages], values_full[A::kStages], values_empty[A::kStages];
  AttentionWork work[A::kQueryStages];
};

// That a warp agrees, the compiler is to see.
__device__ __forceinline__ AttentionWork agreed(const AttentionWork& w) {
  auto first = [](int x) { return __shfl_sync(0xffffffffu, x, 0); };
  return {first(w.row), first(w.head), first(w.batch), first(w.begin), first(w.tiles)};
}

// The order of work: of so many heads at once, whose keys and values have room in the L2 cache, the longest rows of a
// causal mask first; short ones fill the gaps.
struct AttentionOrder {
  int all, heads_at_once;

  // For a whole warp.
  template <class A>
  __device__ __forceinline__ AttentionWork at(int place, Mask mask) const {
    int rows = (mask.queries + A::kRows - 1) / A::kRows, section = heads_at_once * rows;
    int first = place / section * heads_at_once, heads = min(heads_at_once, all / rows - first);
    place %= section;
    int head = first + place % heads;                                                                    // @work-head
    AttentionWork w{(rows - 1 - place / heads) * A::kRows, head % mask.heads, head / mask.heads, 0, 0};
    mask.open(w.batch);
    Reach seen = mask.reach(w.row, min(w.row + A::kRows, mask.queries));
    w.begin = seen.first / A::kCols * A::kCols;
    w.tiles = max(0, seen.end - w.begin + A::kCols - 1) / A::kCols;  // @tiles
    return w;
  }
};

// Work beyond each block's first is taken from here. After each piece of work its block takes one ticket: as many as there is
// work, and then this is 0 again for the next launch.
__device__ unsigned attention_tickets;

// Fills the rings, for work after work. A warp. Zeros beyond the tensors count as bytes that arrive.
template <class A>
__device__ __forceinline__ void bring(unsigned char* queries, AttentionBarriers<A>& barriers, const TensorMap* q, const TensorMap* k, const TensorMap* v,
                                      const AttentionOrder& order, const Mask& mask) {
  unsigned char *keys = queries + A::kQueryStages * A::kQueryBytes, *values = keys + A::kStages * A::kTileBytes;
  RingPlace<A::kQueryStages> of_queries;
  RingPlace<A::kStages> ring;
  int place = static_cast<int>(blockIdx.x);
  bool leads = threadIdx.x == 0;
  while (place < order.all) {
    AttentionWork w = order.at<A>(place, mask);
    auto load = [&](unsigned char* to, int box_bytes, const TensorMap* map, uint64_t* arrived, int row, int head) {
#pragma unroll
      for (int i = 0; i < A::kBoxes; i++) tma_load_4d(to + i * box_bytes, map, arrived, 64 * i, row, head, w.batch);
    };
    if (leads) {
      uint64_t* q_full = barriers.queries_full + of_queries.slot;
      mbarrier_wait(barriers.queries_empty + of_queries.slot, of_queries.parity ^ 1);                           // @queries-empty-wait
      barriers.work[of_queries.slot] = w;                                                                       // @work
      mbarrier_arrive_expect(q_full, A::kQueryBytes);                                                           // @expect-queries
      load(queries + of_queries.slot * A::kQueryBytes, A::kQueryBoxBytes, q, q_full, w.row, w.head);            // @load-queries
      for (int tile = 0, key = w.begin; tile < w.tiles; tile++, key += A::kCols) {
        uint64_t *k_full = barriers.keys_full + ring.slot, *v_full = barriers.values_full + ring.slot;
        mbarrier_wait(barriers.keys_empty + ring.slot, ring.parity ^ 1);                                             // @keys-empty-wait
        mbarrier_arrive_expect(k_full, A::kTileBytes);                                                               // @expect-keys
        load(keys + ring.slot * A::kTileBytes, A::kBoxBytes, k, k_full, key, w.head / mask.group);                   // @load-keys
        mbarrier_wait(barriers.values_empty + ring.slot, ring.parity ^ 1);                                           // @values-empty-wait
        mbarrier_arrive_expect(v_full, A::kTileBytes);                                                               // @expect-values
        load(values + ring.slot * A::kTileBytes, A::kBoxBytes, v, v_full, key, w.head / mask.group);                 // @load-values
        ring.next();                                                                                                 // @bring-next
      }
      place = static_cast<int>(gridDim.x + atomicInc(&attention_tickets, static_cast<unsigned>(order.all - 1)));  // @ticket
    }
    place = __shfl_sync(0xffffffffu, place, 0);
    of_queries.next();  // @bring-next-work
  }
  if (leads) {
    mbarrier_wait(barriers.queries_empty + of_queries.slot, of_queries.parity ^ 1);  // @end-wait
    barriers.work[of_queries.slot].tiles = -1;                                       // @end
    mbarrier_arrive(barriers.queries_full + of_queries.slot);                        // @end-arrive
  }
}

// Of the two rows of a lane: the exponent that their probabilities are relative to, in scores to the base 2; the score above
// which a new one is taken; the sum of this lane's probabilities.
struct SoftmaxRows {
  // How far a row's maximum may rise, in powers of 2, before what was summed is scaled: p may then be up to 2^8, which takes
  // nothing from its 8 or 11 bits. A row's maximum seldom rises so far twice, and a tile that scales nothing multiplies
  // nothing.
  static constexpr float kSlack = 8.0f;
  float factor, slack, base[2] = {}, limit[2] = {-INFINITY, -INFINITY}, total[2] = {};

  __device__ __forceinline__ explicit SoftmaxRows(float scale) : factor(scale * kLog2E), slack(kSlack / factor) {}

  // Whether what has been summed in a row of this warp is to be multiplied by `shrink`, now that scores of up to `most` come.
  __device__ __forceinline__ bool rises(const float (&most)[2], float (&shrink)[2]) {
    if (!__any_sync(0xffffffffu, most[0] > limit[0] || most[1] > limit[1])) return false;  // @rises
#pragma unroll
    for (int r = 0; r < 2; r++) {
      bool first = limit[r] == -INFINITY, rise = most[r] > limit[r];
      float next = rise ? most[r] * factor : base[r];
      shrink[r] = first ? 0.0f : exp2_approx(base[r] - next);
      base[r] = next;
      limit[r] = rise ? most[r] + slack : limit[r];
      total[r] *= shrink[r];
    }
    return true;
  }
};

// A lane's part of a tile of scores: s[4j + 2r + e] is row 16·warp + lane/4 + 8r, column 8j + 2·(lane%4) + e of them. Two
// of its columns of 8 are, packed, the first operand of a product with 16 columns (attention_product.cuh).
template <int kCols>
struct Scores {
  float s[kCols / 2];

  // Keys outside of its limits a row does not see.
  __device__ __forceinline__ void hide(const Limits (&limits)[2], int key) {
    key += lane_index() % 4 * 2;
#pragma unroll
    for (int i = 0; i < kCols / 2; i++) {
      int at = key + i / 4 * 8 + i % 2;
      if (at < limits[i / 2 % 2].first || at >= limits[i / 2 % 2].end) s[i] = -INFINITY;
    }
  }

  // s becomes p. Whether sums so far are to be multiplied by `shrink`.
  __device__ __forceinline__ bool softmax(SoftmaxRows& rows, float (&shrink)[2]) {
    float most[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
      most[r] = fmaxf(s[2 * r], s[2 * r + 1]);
#pragma unroll
      for (int j = 1; j < kCols / 8; j++) most[r] = fmaxf(most[r], fmaxf(s[4 * j + 2 * r], s[4 * j + 2 * r + 1]));
      most[r] = fmaxf(most[r], __shfl_xor_sync(0xffffffffu, most[r], 1));
      most[r] = fmaxf(most[r], __shfl_xor_sync(0xffffffffu, most[r], 2));
    }
    bool rises = rows.rises(most, shrink);
#pragma unroll
    for (int r = 0; r < 2; r++) {
      float sum = 0.0f;
#pragma unroll
      for (int i = 0; i < kCols / 4; i++) {
        float& x = s[i / 2 * 4 + 2 * r + i % 2];
        x = exp2_approx(fmaf(x, rows.factor, -rows.base[r]));
        sum = i == 0 ? x : sum + x;
      }
      rows.total[r] += sum;
    }
    return rises;
  }

  template <class T>
  __device__ __forceinline__ void pack_into(uint32_t (&p)[kCols / 16][4]) const {
#pragma unroll
    for (int i = 0; i < kCols / 4; i++) p[i / 4][i % 4] = pack<T>(s[2 * i], s[2 * i + 1]);
  }
};

// Turns at the tensor cores: a warpgroup waits for its own, and ends it by arriving at the next one's barrier.
template <int kWarpgroups>
struct Turns {
  static constexpr int kThreads = 2 * 128;  // who waits, and who passes it on
  int warpgroup;
  __device__ __forceinline__ void wait() const { named_barrier_sync(1 + warpgroup, kThreads); }
  __device__ __forceinline__ void pass() const { named_barrier_arrive(1 + (warpgroup + 1) % kWarpgroups, kThreads); }  // @pass
  // The last warpgroup gives the first its first turn, and the first takes what the last passes on at the end.
  __device__ __forceinline__ void begin() const {
    if (warpgroup == kWarpgroups - 1) pass();  // @turns-begin
  }
  __device__ __forceinline__ void end() const {
    if (warpgroup == 0) wait();  // @turns-end
  }
};

// A warpgroup's way through all of the block's work. Places in the rings go on from work to work.
template <class A>
struct AttentionRings {
  RingPlace<A::kQueryStages> of_queries;
  RingPlace<A::kStages> of_keys, of_values;
  uint64_t* leaving = nullptr;  // barrier of the queries in whose place results wait for their way out

  // By the thread that has asked for the store: the place is free when it has been read.
  __device__ __forceinline__ void release_results() {
    if (leaving == nullptr) return;
    tma_store_wait_read<0>();    // @read-wait
    mbarrier_arrive(leaving);    // @queries-release
    leaving = nullptr;
  }
};

// Empties the rings of one piece of work. A warpgroup.
template <class A, class T>
__device__ __forceinline__ void attend(int warpgroup, unsigned char* queries, AttentionBarriers<A>& barriers, AttentionRings<A>& rings, const TensorMap* o,
                                       float* lse, const Mask& mask, const AttentionWork& w) {
  constexpr int kDim = A::kDim, kCols = A::kCols;
  unsigned char *keys = queries + A::kQueryStages * A::kQueryBytes, *values = keys + A::kStages * A::kTileBytes;
  auto &of_keys = rings.of_keys, &of_values = rings.of_values;
  unsigned char* mine = queries + rings.of_queries.slot * A::kQueryBytes + warpgroup * 64 * 128;  // this warpgroup's rows of each box
  bool leads = threadIdx.x % 128 == 0;
  int first = w.row + warpgroup * 64, warp_row = first + warp_index() % 4 * 16, query = warp_row + lane_index() / 4;
  Limits limits[2] = {mask.limits(query), mask.limits(query + 8)};
  Reach seen = mask.reach(warp_row, min(warp_row + 16, mask.queries));
  SoftmaxRows rows(mask.scale);

  Scores<kCols> scores;
  uint32_t p[kCols / 16][4];
  float sums[kDim / 2] = {}, shrink[2];
  Turns<A::kWarpgroups> turns{warpgroup};
  auto issue_scores = [&]() {
    unsigned char* tile = keys + of_keys.slot * A::kTileBytes;
#pragma unroll
    for (int i = 0; i < kDim / 16; i++) {
      uint64_t a = wgmma_advance(wgmma_descriptor(mine), i / 4 * A::kQueryBoxBytes + i % 4 * 32);
      wgmma_m64k16<kCols, T>(scores.s, a, wgmma_advance(wgmma_descriptor(tile), i / 4 * A::kBoxBytes + i % 4 * 32), i > 0);
    }
    wgmma_commit();  // @scores-commit
  };
  auto issue_values = [&]() {
    uint64_t tile = wgmma_descriptor_transposed(values + of_values.slot * A::kTileBytes, A::kBoxBytes);
#pragma unroll
    for (int i = 0; i < kCols / 16; i++) wgmma_m64k16<kDim, T, true>(sums, p[i], wgmma_advance(tile, i * 2048));
    wgmma_commit();  // @values-commit
  };

  if (w.tiles > 0) {
    mbarrier_wait(barriers.keys_full + of_keys.slot, of_keys.parity);  // @first-keys-wait
    turns.wait();                                                      // @first-turn-wait
    wgmma_fence();                                                     // @first-fence
    issue_scores();
    turns.pass();                                                    // @first-turn-pass
    if (leads) rings.release_results();                              // @release-results
    wgmma_wait<0>();                                                 // @first-scores-wait
    if (leads) mbarrier_arrive(barriers.keys_empty + of_keys.slot);  // @first-keys-release
    of_keys.next();                                                  // @first-keys-next
    if (!seen.covers(w.begin, w.begin + kCols)) scores.hide(limits, w.begin);  // @first-hide
    scores.softmax(rows, shrink);
    scores.template pack_into<T>(p);
    if (w.tiles > 1) mbarrier_wait(barriers.keys_full + of_keys.slot, of_keys.parity);  // @second-keys-wait
#pragma unroll 1
    for (int tile = 1, key = w.begin + kCols; tile < w.tiles; tile++, key += kCols) {
      mbarrier_wait(barriers.values_full + of_values.slot, of_values.parity);  // @values-wait
      turns.wait();                                                            // @turn-wait
      wgmma_fence();                                                           // @fence
      issue_scores();
      issue_values();
      turns.pass();                                                    // @turn-pass
      wgmma_wait<1>();                                                 // @scores-wait
      if (leads) mbarrier_arrive(barriers.keys_empty + of_keys.slot);  // @keys-release
      of_keys.next();                                                  // @keys-next
      if (!seen.covers(key, key + kCols)) scores.hide(limits, key);    // @hide
      bool rises = scores.softmax(rows, shrink);
      // ptxas moves a wait for products up as far as there is no branch, here to before the exponentials, and the branch too
      // if it depends on none of them: hence the question whether probabilities add up to less than nothing.
      if (tile + 1 < w.tiles || rows.total[0] + rows.total[1] < 0.0f) {
        mbarrier_wait(barriers.keys_full + of_keys.slot, of_keys.parity);  // @keys-wait
      }
      wgmma_wait<0>();                                                                           // @values-done
      if (leads) mbarrier_arrive(barriers.values_empty + of_values.slot);                        // @values-release
      of_values.next();                                                                          // @values-next
      if (rises) {
#pragma unroll
        for (int i = 0; i < kDim / 2; i++) sums[i] *= shrink[i / 2 % 2];  // @shrink
      }
      scores.template pack_into<T>(p);
    }
    mbarrier_wait(barriers.values_full + of_values.slot, of_values.parity);  // @last-values-wait
    wgmma_fence();                                                           // @last-fence
    issue_values();
    wgmma_wait<0>();                                                    // @last-values-done
    if (leads) mbarrier_arrive(barriers.values_empty + of_values.slot);  // @last-values-release
    of_values.next();                                                    // @last-values-next
  } else if (leads) {
    rings.release_results();
  }

#pragma unroll
  for (int r = 0; r < 2; r++) {
    float sum = rows.total[r] + __shfl_xor_sync(0xffffffffu, rows.total[r], 1);
    sum += __shfl_xor_sync(0xffffffffu, sum, 2);
    float inverse = sum > 0.0f ? 1.0f / sum : 0.0f;
    int at = query + 8 * r;
    if (lane_index() % 4 == 0 && at < mask.queries) {
      lse[(int64_t{w.batch} * mask.heads + w.head) * mask.queries + at] = sum > 0.0f ? kLn2 * (rows.base[r] + log2f(sum)) : -INFINITY;
    }
#pragma unroll
    for (int i = 0; i < kDim / 4; i++) sums[i / 2 * 4 + 2 * r + i % 2] *= inverse;
  }
  // Results leave from where this warpgroup's queries were, when its last warp has done with them.
  int barrier = 1 + A::kWarpgroups + warpgroup;
  named_barrier_sync(barrier, 128);  // @queries-barrier
#pragma unroll
  for (int i = 0; i < A::kBoxes; i++) fill_box<T>(mine + i * A::kQueryBoxBytes, sums + 32 * i);  // @fill
  fence_proxy_async();                                                                           // @proxy-fence
  named_barrier_sync(barrier, 128);                                                              // @box-barrier
  if (leads) {
#pragma unroll
    for (int i = 0; i < A::kBoxes; i++) tma_store_4d(o, mine + i * A::kQueryBoxBytes, 64 * i, first, w.head, w.batch);  // @store
    tma_store_commit();                                                                                                 // @store-commit
    rings.leaving = barriers.queries_empty + rings.of_queries.slot;                                                     // @leaving
    if (A::kQueryStages == 1) rings.release_results();
  }
  rings.of_queries.next();  // @queries-next
}

template <class A, class T>
__device__ __forceinline__ void attention_hopper(const TensorMap* q, const TensorMap* k, const TensorMap* v, const TensorMap* o, float* lse, AttentionOrder order,
                                                 Mask mask) {
  DYNAMIC_SHARED(unsigned char, queries);
  __shared__ AttentionBarriers<A> barriers;
  if (threadIdx.x == 0) {
    for (int i = 0; i < A::kQueryStages; i++) {
      mbarrier_init(barriers.queries_full + i, 1);                 // @init-queries-full
      mbarrier_init(barriers.queries_empty + i, A::kWarpgroups);   // @init-queries-empty
    }
    for (int i = 0; i < A::kStages; i++) {
      mbarrier_init(barriers.keys_full + i, 1);                  // @init-keys-full
      mbarrier_init(barriers.keys_empty + i, A::kWarpgroups);    // @init-keys-empty
      mbarrier_init(barriers.values_full + i, 1);                // @init-values-full
      mbarrier_init(barriers.values_empty + i, A::kWarpgroups);  // @init-values-empty
    }
    fence_mbarrier_init();  // @init-fence
  }
  __syncthreads();                                                                   // @init-barrier
  int warpgroup = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / 128, 0);  // the compiler sees that a warp agrees
  if (warpgroup == 0) {
    registers_decrease<A::kBringRegisters>();  // @registers-bring
    if (threadIdx.x < 32) bring<A>(queries, barriers, q, k, v, order, mask);
  } else {
    registers_increase<A::kAttendRegisters>();  // @registers-attend
    AttentionRings<A> rings;
    Turns<A::kWarpgroups> turns{warpgroup - 1};
    turns.begin();
    while (true) {
      mbarrier_wait(barriers.queries_full + rings.of_queries.slot, rings.of_queries.parity);  // @queries-wait
      AttentionWork w = agreed(barriers.work[rings.of_queries.slot]);
      if (w.tiles < 0) break;
      mask.open(w.batch);
      attend<A, T>(warpgroup - 1, queries, barriers, rings, o, lse, mask, w);
    }
    turns.end();
    // Shared memory is the block's until it has been read.
    if (threadIdx.x % 128 == 0) tma_store_wait<0>();  // @store-wait
  }
}

#define FORWARD_HOPPER(d, T, suffix)                                                                                               \
  KERNEL(attention_forward_hopper_d##d##_##suffix,                                                                                 \
         (const __grid_constant__ TensorMap q, const __grid_constant__ TensorMap k, const __grid_constant__ TensorMap v,           \
          const __grid_constant__ TensorMap o, float* lse, int work, int heads_at_once, MASK_PARAMETERS),                                                       \
         HopperAttention<d>::kThreads, 1) {                                                                                        \
    attention_hopper<HopperAttention<d>, T>(&q, &k, &v, &o, lse, AttentionOrder{work, heads_at_once}, AS_MASK);                                                         \
  }
FORWARD_HOPPER(64, bf16, bf16)
FORWARD_HOPPER(64, f16, f16)
FORWARD_HOPPER(128, bf16, bf16)
FORWARD_HOPPER(128, f16, f16)
