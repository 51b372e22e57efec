// attention_forward_hopper.cu — o = softmax(scale·q·kᵀ, masked) · v,  lse = ln Σ exp; half types, 9.0   docs/kernels/attention.md
//   the sums of attention_forward.cu, where tiles arrive by TMA and wgmma reads them from shared memory itself
//   Shah et al. 2024, FlashAttention-3, arXiv:2407.08608
// Tiling: a block has 128 queries of a head, keys and values come by in tiles of 128.
//
//   warpgroup 0, one thread:  queries; wait empty → announce bytes → keys, then values                  registers: 40
//   warpgroups 1 and 2:       S = Q·Kᵀ of the next tile, O += P·V of this one → softmax of S → O·2^(m − m')     232 each
//
//   A multiplying warpgroup has 64 queries; S, P and O stay in its registers. Its tensor cores add P·V while it makes
//   probabilities of the next scores. Keys and values have a ring each: keys are released a tile earlier.
// Traffic (bytes): q, o once, 4·B·H·Tq·D; k and v once per 128 queries, from the L2 cache; lse 4·B·H·Tq.
//   FLOPs: 4·B·H·Tq·Tk·D, half of that for a causal mask.
// Measured: not yet.
#include "attention_mask.cuh"
#include "hopper_tile.cuh"

template <int kDim_>
struct HopperAttention {
  static constexpr int kDim = kDim_, kRows = 128, kCols = 128, kStages = 2;
  static constexpr int kWarpgroups = kRows / 64, kThreads = 128 * (1 + kWarpgroups);
  static constexpr int kBoxes = kDim / 64;       // side by side: a box is 128 bytes wide
  static constexpr int kBoxBytes = kCols * 128;  // of keys or values, and of a block's queries
  static constexpr int kTileBytes = kBoxes * kBoxBytes;
  static_assert(kRows == kCols && (1 + 2 * kStages) * kTileBytes <= 232448 - 1024);
};

// A block's barriers. full: one arrival and a tile's bytes; empty: an arrival of each multiplying warpgroup.
template <int kStages>
struct AttentionBarriers {
  uint64_t queries, keys_full[kStages], keys_empty[kStages], values_full[kStages], values_empty[kStages];
};

// Which queries of which head are the block's, and which tiles of keys: [begin, begin + tiles·kCols).
struct AttentionWork {
  int row, head, batch, begin, tiles;
};

// The longest rows of a causal mask first: short ones fill the gaps at the end. For a whole warp.
template <class A>
__device__ __forceinline__ AttentionWork attention_work(Mask& mask) {
  int tiles = (mask.queries + A::kRows - 1) / A::kRows, block = static_cast<int>(blockIdx.x);
  AttentionWork w{(tiles - 1 - block % tiles) * A::kRows, block / tiles % mask.heads, block / tiles / mask.heads, 0, 0};
  mask.open(w.batch);
  Reach seen = mask.reach(w.row, min(w.row + A::kRows, mask.queries));
  w.begin = seen.first / A::kCols * A::kCols;
  w.tiles = max(0, seen.end - w.begin + A::kCols - 1) / A::kCols;
  return w;
}

// Fills the rings. One thread. Zeros beyond the tensors count as bytes that arrive.
template <class A, class Barriers>
__device__ __forceinline__ void bring(unsigned char* queries, Barriers& barriers, const TensorMap* q, const TensorMap* k, const TensorMap* v, const AttentionWork& w,
                                      int group) {
  unsigned char *keys = queries + A::kTileBytes, *values = keys + A::kStages * A::kTileBytes;
  auto load = [&](unsigned char* to, const TensorMap* map, uint64_t* arrived, int row, int head) {
#pragma unroll
    for (int i = 0; i < A::kBoxes; i++) tma_load_4d(to + i * A::kBoxBytes, map, arrived, 64 * i, row, head, w.batch);
  };
  mbarrier_arrive_expect(&barriers.queries, A::kTileBytes);  // @expect-queries
  load(queries, q, &barriers.queries, w.row, w.head);        // @load-queries
  RingPlace<A::kStages> ring;
  for (int tile = 0, key = w.begin; tile < w.tiles; tile++, key += A::kCols) {
    uint64_t *k_full = barriers.keys_full + ring.slot, *v_full = barriers.values_full + ring.slot;
    mbarrier_wait(barriers.keys_empty + ring.slot, ring.parity ^ 1);           // @keys-empty-wait
    mbarrier_arrive_expect(k_full, A::kTileBytes);                             // @expect-keys
    load(keys + ring.slot * A::kTileBytes, k, k_full, key, w.head / group);    // @load-keys
    mbarrier_wait(barriers.values_empty + ring.slot, ring.parity ^ 1);         // @values-empty-wait
    mbarrier_arrive_expect(v_full, A::kTileBytes);                             // @expect-values
    load(values + ring.slot * A::kTileBytes, v, v_full, key, w.head / group);  // @load-values
    ring.next();                                                               // @bring-next
  }
}

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

  // s becomes p; top, total: of each row so far, total of this lane's columns alone. shrink: what sums so far count now.
  __device__ __forceinline__ void softmax(float (&top)[2], float (&total)[2], float (&shrink)[2], float factor) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      float most = top[r];
#pragma unroll
      for (int j = 0; j < kCols / 8; j++) most = fmaxf(most, fmaxf(s[4 * j + 2 * r], s[4 * j + 2 * r + 1]));
      most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
      most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
      float base = most == -INFINITY ? 0.0f : most * factor, sum = 0.0f;  // a query that has seen nothing: 2^(−∞ − 0) = 0
      shrink[r] = exp2_approx(fmaf(top[r], factor, -base));
      top[r] = most;
#pragma unroll
      for (int j = 0; j < kCols / 8; j++) {
#pragma unroll
        for (int e = 0; e < 2; e++) {
          float& x = s[4 * j + 2 * r + e];
          x = exp2_approx(fmaf(x, factor, -base));
          sum += x;
        }
      }
      total[r] = fmaf(total[r], shrink[r], sum);
    }
  }

  template <class T>
  __device__ __forceinline__ void pack_into(uint32_t (&p)[kCols / 16][4]) const {
#pragma unroll
    for (int i = 0; i < kCols / 4; i++) p[i / 4][i % 4] = pack<T>(s[2 * i], s[2 * i + 1]);
  }
};

// Empties the rings. A warpgroup.
template <class A, class T, class Barriers>
__device__ __forceinline__ void attend(int warpgroup, unsigned char* queries, Barriers& barriers, const TensorMap* o, float* lse, const Mask& mask,
                                       const AttentionWork& w) {
  constexpr int kDim = A::kDim, kCols = A::kCols;
  unsigned char *keys = queries + A::kTileBytes, *values = keys + A::kStages * A::kTileBytes;
  unsigned char* mine = queries + warpgroup * 64 * 128;  // this warpgroup's rows of each box
  bool leads = threadIdx.x % 128 == 0;
  int first = w.row + warpgroup * 64, warp_row = first + warp_index() % 4 * 16, query = warp_row + lane_index() / 4;
  Limits limits[2] = {mask.limits(query), mask.limits(query + 8)};
  Reach seen = mask.reach(warp_row, min(warp_row + 16, mask.queries));
  float factor = mask.scale * kLog2E;

  Scores<kCols> scores;
  uint32_t p[kCols / 16][4];
  float sums[kDim / 2] = {}, top[2] = {-INFINITY, -INFINITY}, total[2] = {}, shrink[2];
  RingPlace<A::kStages> of_keys, of_values;
  auto issue_scores = [&]() {
    unsigned char* tile = keys + of_keys.slot * A::kTileBytes;
#pragma unroll
    for (int i = 0; i < kDim / 16; i++) {
      int at = i / 4 * A::kBoxBytes + i % 4 * 32;
      wgmma_m64k16<kCols, T>(scores.s, wgmma_advance(wgmma_descriptor(mine), at), wgmma_advance(wgmma_descriptor(tile), at), i > 0);
    }
    wgmma_commit();  // @scores-commit
  };
  auto issue_values = [&]() {
    uint64_t tile = wgmma_descriptor_transposed(values + of_values.slot * A::kTileBytes, A::kBoxBytes);
#pragma unroll
    for (int i = 0; i < kCols / 16; i++) wgmma_m64k16<kDim, T, true>(sums, p[i], wgmma_advance(tile, i * 2048));
    wgmma_commit();  // @values-commit
  };

  mbarrier_wait(&barriers.queries, 0);  // @queries-wait
  if (w.tiles > 0) {
    mbarrier_wait(barriers.keys_full, 0);  // @first-keys-wait
    wgmma_fence();                         // @first-fence
    issue_scores();
    wgmma_wait<0>();                                  // @first-scores-wait
    if (leads) mbarrier_arrive(barriers.keys_empty);  // @first-keys-release
    of_keys.next();
    if (!seen.covers(w.begin, w.begin + kCols)) scores.hide(limits, w.begin);  // @first-hide
    scores.softmax(top, total, shrink, factor);
    scores.template pack_into<T>(p);
    if (w.tiles > 1) mbarrier_wait(barriers.keys_full + of_keys.slot, of_keys.parity);  // @second-keys-wait
#pragma unroll 1
    for (int tile = 1, key = w.begin + kCols; tile < w.tiles; tile++, key += kCols) {
      wgmma_fence();  // @fence
      issue_scores();
      mbarrier_wait(barriers.values_full + of_values.slot, of_values.parity);  // @values-wait
      wgmma_fence();                                                           // @values-fence
      issue_values();
      wgmma_wait<1>();                                                 // @scores-wait
      if (leads) mbarrier_arrive(barriers.keys_empty + of_keys.slot);  // @keys-release
      of_keys.next();                                                  // @keys-next
      if (!seen.covers(key, key + kCols)) scores.hide(limits, key);    // @hide
      scores.softmax(top, total, shrink, factor);
      // The wait for the next keys stands here because ptxas moves a wait for products up as far as there is no branch: the
      // softmax would not begin before the values are multiplied.
      if (tile + 1 < w.tiles) mbarrier_wait(barriers.keys_full + of_keys.slot, of_keys.parity);  // @keys-wait
      wgmma_wait<0>();                                                                           // @values-done
      if (leads) mbarrier_arrive(barriers.values_empty + of_values.slot);                        // @values-release
      of_values.next();                                                                          // @values-next
#pragma unroll
      for (int i = 0; i < kDim / 2; i++) sums[i] *= shrink[i / 2 % 2];
      scores.template pack_into<T>(p);
    }
    mbarrier_wait(barriers.values_full + of_values.slot, of_values.parity);  // @last-values-wait
    wgmma_fence();                                                           // @last-fence
    issue_values();
    wgmma_wait<0>();  // @last-values-done
  }

#pragma unroll
  for (int r = 0; r < 2; r++) {
    float sum = total[r] + __shfl_xor_sync(0xffffffffu, total[r], 1);
    sum += __shfl_xor_sync(0xffffffffu, sum, 2);
    float inverse = sum > 0.0f ? 1.0f / sum : 0.0f;
    int at = query + 8 * r;
    if (lane_index() % 4 == 0 && at < mask.queries) {
      lse[(int64_t{w.batch} * mask.heads + w.head) * mask.queries + at] = sum > 0.0f ? kLn2 * fmaf(top[r], factor, log2f(sum)) : -INFINITY;
    }
#pragma unroll
    for (int i = 0; i < kDim / 4; i++) sums[i / 2 * 4 + 2 * r + i % 2] *= inverse;
  }
  // Results leave from where this warpgroup's queries were, when its last warp has done with them.
  named_barrier_sync(1 + warpgroup, 128);  // @queries-barrier
#pragma unroll
  for (int i = 0; i < A::kBoxes; i++) fill_box<T>(mine + i * A::kBoxBytes, sums + 32 * i);  // @fill
  fence_proxy_async();                                                                      // @proxy-fence
  named_barrier_sync(1 + warpgroup, 128);                                                   // @box-barrier
  if (leads) {
#pragma unroll
    for (int i = 0; i < A::kBoxes; i++) tma_store_4d(o, mine + i * A::kBoxBytes, 64 * i, first, w.head, w.batch);  // @store
    tma_store_commit();                                                                                            // @store-commit
    tma_store_wait<0>();                                                                                           // @store-wait
  }
}

template <class A, class T>
__device__ __forceinline__ void attention_hopper(const TensorMap* q, const TensorMap* k, const TensorMap* v, const TensorMap* o, float* lse, Mask mask) {
  DYNAMIC_SHARED(unsigned char, queries);
  __shared__ AttentionBarriers<A::kStages> barriers;
  if (threadIdx.x == 0) {
    mbarrier_init(&barriers.queries, 1);  // @init-queries
    for (int i = 0; i < A::kStages; i++) {
      mbarrier_init(barriers.keys_full + i, 1);                  // @init-keys-full
      mbarrier_init(barriers.keys_empty + i, A::kWarpgroups);    // @init-keys-empty
      mbarrier_init(barriers.values_full + i, 1);                // @init-values-full
      mbarrier_init(barriers.values_empty + i, A::kWarpgroups);  // @init-values-empty
    }
    fence_mbarrier_init();  // @init-fence
  }
  AttentionWork work = attention_work<A>(mask);
  __syncthreads();                                                                   // @init-barrier
  int warpgroup = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / 128, 0);  // the compiler sees that a warp agrees
  if (warpgroup == 0) {
    registers_decrease<40>();  // @registers-bring
    if (threadIdx.x == 0) bring<A>(queries, barriers, q, k, v, work, mask.group);
  } else {
    registers_increase<232>();  // @registers-attend
    attend<A, T>(warpgroup - 1, queries, barriers, o, lse, mask, work);
  }
}

#define FORWARD_HOPPER(d, T, suffix)                                                                                               \
  KERNEL(attention_forward_hopper_d##d##_##suffix,                                                                                 \
         (const __grid_constant__ TensorMap q, const __grid_constant__ TensorMap k, const __grid_constant__ TensorMap v,           \
          const __grid_constant__ TensorMap o, float* lse, MASK_PARAMETERS),                                                       \
         HopperAttention<d>::kThreads, 1) {                                                                                        \
    attention_hopper<HopperAttention<d>, T>(&q, &k, &v, &o, lse, AS_MASK);                                                         \
  }
FORWARD_HOPPER(64, bf16, bf16)
FORWARD_HOPPER(64, f16, f16)
FORWARD_HOPPER(128, bf16, bf16)
FORWARD_HOPPER(128, f16, f16)
