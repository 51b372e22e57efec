// attention_backward_hopper.cu — dq, dk, dv of attention from o and lse; half types, 9.0              docs/kernels/attention.md
//   the sums of attention_backward.cu, where tiles arrive by TMA and wgmma reads them from shared memory itself
//   Shah et al. 2024, FlashAttention-3, arXiv:2407.08608, has one kernel for all three, and adds dq by atomics
// Tiling: a block keeps 128 rows of a head, columns come by in tiles; no block adds to what another writes. Two kernels:
//   queries  rows q and dy, columns k and v, 128 at a time in 2 stages: dq
//   keys     rows k and v, columns q and dy, 64 at a time in 3 stages, for the query heads of the group one after another:
//            dk and dv. Scores are transposed, so that Pᵀ and dSᵀ are, as P and dS are there, first operands of products.
//
//   warpgroup 0, one thread:  rows; wait empty → announce bytes → dy or v, then q or k                      registers: 24
//   warpgroups 1 and 2:       S = Q·Kᵀ and dP = dY·Vᵀ → P from S while dP is multiplied → dS → dV += Pᵀ·dY, dK += dSᵀ·Q
//                             or dQ += dS·K → both stages are free                                            240 each
//
//   A multiplying warpgroup has 64 rows; S, dP, P, dS and sums stay in its registers: of a thread's 240, sums take D/2 (keys:
//   D), S and dP a column each, and statistics of 64 query columns 16. While one warpgroup waits for its sums or makes
//   probabilities, the other one multiplies.
// Traffic (bytes): rows once; columns once per 128 rows, from the L2 cache; lse and delta 8 per query and tile of keys.
//   FLOPs: 14·B·H·Tq·Tk·D, half of that for a causal mask.
// Limit: tensor cores. Clocks of a multiprocessor for 128 rows and a tile of columns: wgmma m64nNk16 takes N/2 of the tensor
//   cores (4096 FLOPs a clock), and N/4 of shared memory (128 bytes), 16 more if its first operand lies there too; so does
//   what TMA writes. An exponential takes 1/16.
//                   tensor cores   shared memory   exponentials
//   queries, D 64           1536            1280           1024
//   queries, D 128          3072            2560           1024
//   keys, D 64              1024             960            512
//   keys, D 128             2048            1856            512
// Measured: not yet.
#include "attention_mask.cuh"
#include "hopper_tile.cuh"

template <int kDim_, int kCols_, bool kOfKeys_>
struct HopperBackward {
  static constexpr bool kOfKeys = kOfKeys_;
  static constexpr int kDim = kDim_, kRows = 128, kCols = kCols_, kStages = kOfKeys ? 3 : 2;
  static constexpr int kWarpgroups = kRows / 64, kThreads = 128 * (1 + kWarpgroups);
  static constexpr int kBoxes = kDim / 64;  // side by side: a box is 128 bytes wide
  static constexpr int kRowBoxBytes = kRows * 128, kRowBytes = kBoxes * kRowBoxBytes;
  static constexpr int kColBoxBytes = kCols * 128, kColBytes = kBoxes * kColBoxBytes;
  static constexpr int kStats = kOfKeys ? 2 * kCols : 0;  // of queries that are columns: lse·log2 e and delta of each
  static_assert(2 * kRowBytes + 2 * kStages * kColBytes + kStages * kStats * 4 <= 232448 - 2048);
};

// What a block shares. full: one arrival and a tile's bytes; empty: an arrival of each multiplying warp.
template <class A>
struct BackwardShared {
  alignas(16) float stats[A::kStages][A::kOfKeys ? A::kStats : 4];
  uint64_t rows;
  uint64_t qk_full[A::kStages], qk_empty[A::kStages], yv_full[A::kStages], yv_empty[A::kStages];
};

// Which rows of which head are the block's, and which columns come by: of each query head of the group the tiles
// [begin, begin + per_head·kCols).
struct BackwardWork {
  int row, head, batch, begin, per_head, steps;
};

// Outside of [first, end) no query sees any of the keys [from, to); for a whole warp.
__device__ __forceinline__ Limits queries_that_see(const Mask& mask, int from, int to) {
  int ahead = mask.position(0);
  Limits r{mask.causal ? max(0, from - ahead) : 0, mask.queries};
  if (mask.window > 0 && mask.window < mask.keys) r.end = min(r.end, to - 1 + mask.window - ahead);
  if (mask.starts != nullptr) {
    int last = -1;
    for (int i = r.first + lane_index(); i < r.end; i += 32) {
      if (mask.start(i) < to) last = i;
    }
    r.end = min(r.end, __reduce_max_sync(0xffffffffu, last) + 1);
  }
  return r;
}

// Those that see, or are seen by, most come first under a causal mask. For a whole warp.
template <class A>
__device__ __forceinline__ BackwardWork backward_work(Mask& mask) {
  int count = A::kOfKeys ? mask.keys : mask.queries, heads = A::kOfKeys ? mask.heads / mask.group : mask.heads;
  int tiles = (count + A::kRows - 1) / A::kRows, block = static_cast<int>(blockIdx.x), tile = block % tiles;
  BackwardWork w{(A::kOfKeys ? tile : tiles - 1 - tile) * A::kRows, block / tiles % heads, block / tiles / heads, 0, 0, 0};
  mask.open(w.batch);
  int end = min(w.row + A::kRows, count);
  Limits range;
  if constexpr (A::kOfKeys) {
    range = queries_that_see(mask, w.row, end);
  } else {
    Reach seen = mask.reach(w.row, end);
    range = {seen.first, seen.end};
  }
  w.begin = range.first / A::kCols * A::kCols;
  w.per_head = max(0, range.end - w.begin + A::kCols - 1) / A::kCols;
  w.steps = w.per_head * (A::kOfKeys ? mask.group : 1);
  return w;
}

// Of a step: the columns' first position, and their head.
struct BackwardPlace {
  int col, head;
  template <class A>
  __device__ __forceinline__ static BackwardPlace first(const BackwardWork& w, int group) {
    return {w.begin, A::kOfKeys ? w.head * group : w.head / group};
  }
  template <class A>
  __device__ __forceinline__ void next(const BackwardWork& w) {
    col += A::kCols;
    if (A::kOfKeys && col >= w.begin + w.per_head * A::kCols) {  // the group's next query head
      col = w.begin;
      head++;
    }
  }
};

// Fills the rings, that of dy or v first: values are free before keys are. One thread. Zeros beyond the tensors count as
// bytes that arrive.
template <class A>
__device__ __forceinline__ void bring(unsigned char* rows, BackwardShared<A>& shared, const TensorMap* rows_qk, const TensorMap* rows_yv, const TensorMap* cols_qk,
                                      const TensorMap* cols_yv, const float* stats, int padded, const BackwardWork& w, const Mask& mask) {
  unsigned char *qk = rows + 2 * A::kRowBytes, *yv = qk + A::kStages * A::kColBytes;
  auto load = [&](unsigned char* to, int box_bytes, const TensorMap* map, uint64_t* arrived, int row, int head) {
#pragma unroll
    for (int i = 0; i < A::kBoxes; i++) tma_load_4d(to + i * box_bytes, map, arrived, 64 * i, row, head, w.batch);
  };
  mbarrier_arrive_expect(&shared.rows, 2 * A::kRowBytes);                            // @expect-rows
  load(rows, A::kRowBoxBytes, rows_qk, &shared.rows, w.row, w.head);                 // @load-rows-qk
  load(rows + A::kRowBytes, A::kRowBoxBytes, rows_yv, &shared.rows, w.row, w.head);  // @load-rows-yv
  RingPlace<A::kStages> ring;
  BackwardPlace at = BackwardPlace::first<A>(w, mask.group);
#pragma unroll 1
  for (int step = 0; step < w.steps; step++) {
    uint64_t *qk_full = shared.qk_full + ring.slot, *yv_full = shared.yv_full + ring.slot;
    mbarrier_wait(shared.yv_empty + ring.slot, ring.parity ^ 1);                              // @yv-empty-wait
    mbarrier_arrive_expect(yv_full, A::kColBytes);                                            // @expect-yv
    load(yv + ring.slot * A::kColBytes, A::kColBoxBytes, cols_yv, yv_full, at.col, at.head);  // @load-yv
    mbarrier_wait(shared.qk_empty + ring.slot, ring.parity ^ 1);                              // @qk-empty-wait
    mbarrier_arrive_expect(qk_full, A::kColBytes + A::kStats * 4);                            // @expect-qk
    load(qk + ring.slot * A::kColBytes, A::kColBoxBytes, cols_qk, qk_full, at.col, at.head);  // @load-qk
    if constexpr (A::kOfKeys) {
      const float* from = stats + 2 * ((int64_t{w.batch} * mask.heads + at.head) * padded + at.col);
      bulk_load(shared.stats[ring.slot], from, A::kStats * 4, qk_full);  // @load-stats
    }
    ring.next();    // @bring-next
    at.next<A>(w);  // @bring-place
  }
}

// A lane's part of a tile x[64, kCols] of scores or of their gradients: x[4j + 2r + e] is row 16·warp + lane/4 + 8r,
// column 8j + 2·(lane%4) + e. Two of its columns of 8 are, packed, the first operand of a product with 16 columns.
template <class T, int kHalf>
__device__ __forceinline__ void pack_into(uint32_t (&to)[kHalf / 8][4], const float (&x)[kHalf]) {
#pragma unroll
  for (int i = 0; i < kHalf / 2; i++) to[i / 4][i % 4] = pack<T>(x[2 * i], x[2 * i + 1]);
}

// Scores of keys that a query does not see become −∞. row, col: this lane's first.
template <class A>
__device__ __forceinline__ void hide(float (&s)[A::kCols / 2], const Mask& mask, int row, int col) {
  if constexpr (A::kOfKeys) {
#pragma unroll
    for (int e = 0; e < 2; e++) {
#pragma unroll
      for (int j = 0; j < A::kCols / 8; j++) {
        Limits l = mask.limits(col + 8 * j + e);
#pragma unroll
        for (int r = 0; r < 2; r++) {
          int key = row + 8 * r;
          if (key < l.first || key >= l.end) s[4 * j + 2 * r + e] = -INFINITY;
        }
      }
    }
  } else {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      Limits l = mask.limits(row + 8 * r);
#pragma unroll
      for (int i = 0; i < A::kCols / 4; i++) {
        int key = col + i / 2 * 8 + i % 2;
        if (key < l.first || key >= l.end) s[i / 2 * 4 + 2 * r + i % 2] = -INFINITY;
      }
    }
  }
}

// Empties the rings. A warpgroup, which has 64 of the block's rows.
template <class A, class T>
__device__ __forceinline__ void differentiate(int warpgroup, unsigned char* rows, BackwardShared<A>& shared, const TensorMap* first, const TensorMap* second,
                                              const float* stats, int padded, const Mask& mask, const BackwardWork& w) {
  constexpr int kDim = A::kDim, kCols = A::kCols;
  unsigned char *qk = rows + 2 * A::kRowBytes, *yv = qk + A::kStages * A::kColBytes;
  unsigned char *my_qk = rows + warpgroup * 64 * 128, *my_yv = my_qk + A::kRowBytes;  // this warpgroup's rows of each box
  int warp_row = w.row + warpgroup * 64 + warp_index() % 4 * 16, row = warp_row + lane_index() / 4, of_lane = lane_index() % 4 * 2;
  float factor = mask.scale * kLog2E;

  float row_lse[2], row_delta[2];  // of queries that are rows
  Reach mine{};
  if constexpr (!A::kOfKeys) {
    mine = mask.reach(warp_row, min(warp_row + 16, mask.queries));
#pragma unroll
    for (int r = 0; r < 2; r++) {
      bool there = row + 8 * r < mask.queries;
      int64_t at = 2 * ((int64_t{w.batch} * mask.heads + w.head) * padded + row + 8 * r);
      row_lse[r] = there ? stats[at] : INFINITY;
      row_delta[r] = there ? stats[at + 1] : 0.0f;
    }
  }

  float s[kCols / 2], dp[kCols / 2], sums[kDim / 2] = {}, sums_dv[A::kOfKeys ? kDim / 2 : 1] = {};
  uint32_t p[A::kOfKeys ? kCols / 16 : 1][4], ds[kCols / 16][4];
  RingPlace<A::kStages> ring;
  auto product = [&](float (&x)[kCols / 2], unsigned char* of_rows, unsigned char* of_cols) {
#pragma unroll
    for (int i = 0; i < kDim / 16; i++) {
      int row_at = i / 4 * A::kRowBoxBytes + i % 4 * 32, col_at = i / 4 * A::kColBoxBytes + i % 4 * 32;
      wgmma_m64k16<kCols, T>(x, wgmma_advance(wgmma_descriptor(of_rows), row_at), wgmma_advance(wgmma_descriptor(of_cols), col_at), i > 0);
    }
    wgmma_commit();  // @product-commit
  };
  auto accumulate = [&](float (&x)[kDim / 2], const uint32_t (&by)[kCols / 16][4], unsigned char* of_cols) {
    uint64_t tile = wgmma_descriptor_transposed(of_cols, A::kColBoxBytes);
#pragma unroll
    for (int i = 0; i < kCols / 16; i++) wgmma_m64k16<kDim, T, true>(x, by[i], wgmma_advance(tile, i * 2048));
    wgmma_commit();  // @accumulate-commit
  };
  auto release = [&](uint64_t* empty) {
    __syncwarp();  // its other lanes have read their statistics
    if (lane_index() == 0) mbarrier_arrive(empty);
  };

  mbarrier_wait(&shared.rows, 0);  // @rows-wait
  if (w.steps > 0) {
    mbarrier_wait(shared.yv_full, 0);  // @first-yv-wait
    BackwardPlace at = BackwardPlace::first<A>(w, mask.group);
#pragma unroll 1
    for (int step = 0; step < w.steps; step++) {
      unsigned char *tile_qk = qk + ring.slot * A::kColBytes, *tile_yv = yv + ring.slot * A::kColBytes;
      const float* in_col = shared.stats[ring.slot] + 2 * of_lane;
      float delta[A::kOfKeys ? kCols / 4 : 1];                 // of queries that are columns
      mbarrier_wait(shared.qk_full + ring.slot, ring.parity);  // @qk-wait
      wgmma_fence();                                           // @fence
      product(s, my_qk, tile_qk);
      product(dp, my_yv, tile_yv);
      if constexpr (A::kOfKeys) mine = mask.reach(at.col, min(at.col + kCols, mask.queries));
      wgmma_wait<1>();  // @scores-wait
      int key = A::kOfKeys ? warp_row : at.col;
      if (!mine.covers(key, key + (A::kOfKeys ? 16 : kCols))) hide<A>(s, mask, row, at.col + of_lane);  // @hide
#pragma unroll
      for (int j = 0; j < kCols / 8; j++) {
        float lse[2];
        if constexpr (A::kOfKeys) {
          auto pairs = load_vec<4>(in_col + 16 * j);
          lse[0] = pairs[0], lse[1] = pairs[2], delta[2 * j] = pairs[1], delta[2 * j + 1] = pairs[3];
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
          float& x = s[4 * j + i];
          x = exp2_approx(fmaf(x, factor, -(A::kOfKeys ? lse[i % 2] : row_lse[i / 2])));
        }
      }
      // A wait for products may be moved up by ptxas as far as there is no branch, here to before the exponentials; the wait
      // for the next columns is one. First operands in registers may not be written while products are under way.
      int slot = ring.slot;
      ring.next();                                                                     // @ring-next
      if (step + 1 < w.steps) mbarrier_wait(shared.yv_full + ring.slot, ring.parity);  // @yv-wait
      wgmma_wait<0>();                                                                 // @dp-wait
      if constexpr (!A::kOfKeys) release(shared.yv_empty + slot);                      // @v-release
#pragma unroll
      for (int j = 0; j < kCols / 8; j++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
          float& x = dp[4 * j + i];
          x = s[4 * j + i] * (x - (A::kOfKeys ? delta[2 * j + i % 2] : row_delta[i / 2]));
        }
      }
      if constexpr (A::kOfKeys) pack_into<T>(p, s);
      pack_into<T>(ds, dp);
      wgmma_fence();  // @sums-fence
      if constexpr (A::kOfKeys) accumulate(sums_dv, p, tile_yv);
      accumulate(sums, ds, tile_qk);
      wgmma_wait<0>();                                            // @sums-wait
      if constexpr (A::kOfKeys) release(shared.yv_empty + slot);  // @dy-release
      release(shared.qk_empty + slot);                            // @qk-release
      at.next<A>(w);                                              // @place-next
    }
  }

  // Results leave from where this warpgroup's rows were, when its last warp has done with them.
#pragma unroll
  for (int i = 0; i < kDim / 2; i++) sums[i] *= mask.scale;
  named_barrier_sync(1 + warpgroup, 128);  // @rows-barrier
#pragma unroll
  for (int i = 0; i < A::kBoxes; i++) {
    fill_box<T>(my_qk + i * A::kRowBoxBytes, sums + 32 * i);  // @fill
    if constexpr (A::kOfKeys) fill_box<T>(my_yv + i * A::kRowBoxBytes, sums_dv + 32 * i);
  }
  fence_proxy_async();                     // @proxy-fence
  named_barrier_sync(1 + warpgroup, 128);  // @box-barrier
  if (threadIdx.x % 128 == 0) {
    int to = w.row + warpgroup * 64;
#pragma unroll
    for (int i = 0; i < A::kBoxes; i++) {
      tma_store_4d(first, my_qk + i * A::kRowBoxBytes, 64 * i, to, w.head, w.batch);  // @store
      if constexpr (A::kOfKeys) {
        tma_store_4d(second, my_yv + i * A::kRowBoxBytes, 64 * i, to, w.head, w.batch);  // @store-dv
      }
    }
    tma_store_commit();   // @store-commit
    tma_store_wait<0>();  // @store-wait
  }
}

template <class A, class T>
__device__ __forceinline__ void backward_hopper(const TensorMap* rows_qk, const TensorMap* rows_yv, const TensorMap* cols_qk, const TensorMap* cols_yv,
                                                const TensorMap* first, const TensorMap* second, const float* stats, int padded, Mask mask) {
  DYNAMIC_SHARED(unsigned char, rows);
  __shared__ BackwardShared<A> shared;
  if (threadIdx.x == 0) {
    mbarrier_init(&shared.rows, 1);  // @init-rows
    for (int i = 0; i < A::kStages; i++) {
      mbarrier_init(shared.qk_full + i, 1);                    // @init-qk-full
      mbarrier_init(shared.qk_empty + i, 4 * A::kWarpgroups);  // @init-qk-empty
      mbarrier_init(shared.yv_full + i, 1);                    // @init-yv-full
      mbarrier_init(shared.yv_empty + i, 4 * A::kWarpgroups);  // @init-yv-empty
    }
    fence_mbarrier_init();  // @init-fence
  }
  BackwardWork work = backward_work<A>(mask);
  __syncthreads();                                                                   // @init-barrier
  int warpgroup = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / 128, 0);  // the compiler sees that a warp agrees
  if (warpgroup == 0) {
    registers_decrease<24>();  // @registers-bring
    if (threadIdx.x == 0) bring<A>(rows, shared, rows_qk, rows_yv, cols_qk, cols_yv, stats, padded, work, mask);
  } else {
    registers_increase<240>();  // @registers-differentiate
    differentiate<A, T>(warpgroup - 1, rows, shared, first, second, stats, padded, mask, work);
  }
}

// A block's rows and a tile's columns are part of the name by which AttentionBackwardHopper asks for a kernel.
#define MAP(name) const __grid_constant__ TensorMap name
#define OF_QUERIES(d, cols, T, suffix)                                                                          \
  KERNEL(attention_backward_hopper_queries_d##d##_128x##cols##_##suffix,                                        \
         (MAP(q), MAP(dy), MAP(k), MAP(v), MAP(dq), const float* stats, int padded, MASK_PARAMETERS),           \
         (HopperBackward<d, cols, false>::kThreads), 1) {                                                       \
    backward_hopper<HopperBackward<d, cols, false>, T>(&q, &dy, &k, &v, &dq, nullptr, stats, padded, AS_MASK);  \
  }
#define OF_KEYS(d, cols, T, suffix)                                                                             \
  KERNEL(attention_backward_hopper_keys_d##d##_128x##cols##_##suffix,                                           \
         (MAP(k), MAP(v), MAP(q), MAP(dy), MAP(dk), MAP(dv), const float* stats, int padded, MASK_PARAMETERS),  \
         (HopperBackward<d, cols, true>::kThreads), 1) {                                                        \
    backward_hopper<HopperBackward<d, cols, true>, T>(&k, &v, &q, &dy, &dk, &dv, stats, padded, AS_MASK);       \
  }
#define HALVES(KIND, d, cols) \
  KIND(d, cols, bf16, bf16)   \
  KIND(d, cols, f16, f16)
HALVES(OF_QUERIES, 64, 128)
HALVES(OF_QUERIES, 128, 128)
HALVES(OF_KEYS, 64, 64)
HALVES(OF_KEYS, 128, 64)
