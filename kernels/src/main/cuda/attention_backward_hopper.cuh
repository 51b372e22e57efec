// attention_backward_hopper.cuh — dq, dk, dv of attention from o and lse; half types, 9.0             docs/kernels/attention.md
//   the sums of attention_backward.cu by one kernel, where tiles arrive by TMA and wgmma reads them from shared memory
//   Shah et al. 2024, FlashAttention-3, arXiv:2407.08608
// Tiling: a block keeps 128 keys and their values, queries and dy come by, 64 at a time, for the query heads of the group
// one after another: dk and dv. Of each tile it has a part of dq, too, which a bulk copy adds to a sum of fp32 in memory,
// in its turn: the block of the last keys first. attention_backward_hopper_dq rounds the sums.
//
//   warpgroup 0, one thread:  keys, values; wait empty → announce bytes → dy, then queries                 registers: 24
//   another one:              a part of dq is there → wait for the turn → add → pass the turn on
//   warpgroups 1 and 2:       S = K·Qᵀ and dP = V·dYᵀ → P from S while dP is multiplied → dS → dV += Pᵀ·dY, dK += dSᵀ·Q
//                             → both have dS → dQ = dS·K → to shared memory                                240 each
//
//   A multiplying warpgroup has 64 keys. Scores are transposed, so that Pᵀ and dSᵀ are first operands of products where they
//   were computed; dS goes through shared memory to the other warpgroup too, since dq is a sum over all keys. Of dq each
//   warpgroup has 64 columns for D = 128; for D = 64 they take turns. Of a thread's 240 registers dk and dv take D, S and dP
//   32 each, dq 32, statistics of the queries 16.
// Turns: under a causal mask block j of the keys comes to tile i of the queries i - j tiles after it has begun. Blocks begin
//   in the order of their tickets, the last keys of a head first; so it is block j's turn there when it comes.
// Traffic (bytes): k, v, dk, dv once; q and dy once per 128 keys and 4·D added per query and 128 keys, in the L2 cache;
//   then 4·D read per query and 2·D written. FLOPs: 10·B·H·Tq·Tk·D, half of that for a causal mask.
// Limit: tensor cores. Clocks of a multiprocessor for 128 keys and a tile of queries: wgmma m64nNk16 takes N/2 of the tensor
//   cores (4096 FLOPs a clock), and N/4 of shared memory (128 bytes), 16 more if its first operand lies there too; so does
//   what TMA and threads write. An exponential takes 1/16.
//                   tensor cores   shared memory   exponentials
//   D 64                    1280            1472            512
//   D 128                   2560            2624            512
// Measured: not yet.
#pragma once
#include "attention_mask.cuh"
#include "hopper_tile.cuh"
#include "hopper_turns.cuh"

template <int kDim_>
struct HopperBackward {
  static constexpr int kDim = kDim_, kRows = 128, kCols = 64, kStages = kDim == 64 ? 3 : 2;
  static constexpr int kWarpgroups = kRows / 64, kThreads = 128 * (1 + kWarpgroups);
  static constexpr int kBoxes = kDim / 64;  // side by side: a box is 128 bytes wide
  static constexpr int kRowBoxBytes = kRows * 128, kRowBytes = kBoxes * kRowBoxBytes;
  static constexpr int kColBoxBytes = kCols * 128, kColBytes = kBoxes * kColBoxBytes;
  static constexpr int kDsBoxBytes = 64 * 128, kDsBytes = kWarpgroups * kDsBoxBytes;  // a box: a warpgroup's keys by the queries
  static constexpr int kDqBytes = kCols * kDim * 4, kDqWarpgroups = kBoxes;           // that multiply for one tile
  static constexpr int kStats = 2 * kCols;                                            // lse·log2 e and delta of each query
  static constexpr int kSharedBytes = 2 * kRowBytes + 2 * kStages * kColBytes + 2 * kDsBytes + kDqBytes;
  static_assert(kSharedBytes <= 232448 - 2048);
};

// What a block shares. full: one arrival and a tile's bytes, or of dq an arrival of each warp that has some; empty: an
// arrival of each multiplying warp, or of dq that of the adding thread.
template <class A>
struct BackwardShared {
  alignas(16) float stats[A::kStages][A::kStats];
  uint64_t rows;
  uint64_t q_full[A::kStages], q_empty[A::kStages], dy_full[A::kStages], dy_empty[A::kStages], dq_full, dq_empty;
  int ticket;
};

// The parts of dynamic shared memory.
template <class A>
struct BackwardTiles {
  unsigned char *k, *v, *q, *dy, *ds, *dq;
  __device__ __forceinline__ explicit BackwardTiles(unsigned char* shared)
      : k(shared), v(k + A::kRowBytes), q(v + A::kRowBytes), dy(q + A::kStages * A::kColBytes), ds(dy + A::kStages * A::kColBytes), dq(ds + 2 * A::kDsBytes) {}
};

// Which keys of which head are the block's, and which queries come by: of each query head of the group the tiles
// [begin, begin + per_head·kCols).
struct BackwardWork {
  int row, head, batch, begin, per_head, steps;
};

// Outside of [first, end) no query sees any of the keys [from, to); for a whole warp. If a later run of keys has a smaller
// first, it has no smaller end: those that add to a tile of queries are neighbours.
__device__ __forceinline__ Limits queries_that_see(const Mask& mask, int from, int to) {
  int ahead = mask.position(0);
  Limits r{mask.causal ? max(0, from - ahead) : 0, from < mask.length ? mask.queries : 0};
  if (mask.window > 0 && mask.window < mask.keys) r.end = min(r.end, to - 1 + mask.window - ahead);
  if (mask.starts != nullptr) {
    int last = r.first;
    for (int i = r.first + lane_index(); i < r.end; i += 32) {
      if (mask.start(i) < to) last = i;
    }
    r.end = min(r.end, __reduce_max_sync(0xffffffffu, last) + 1);
  }
  return r;
}

// For a whole warp.
template <class A>
__device__ __forceinline__ BackwardWork backward_work(Mask& mask, int ticket) {
  int tiles = (mask.keys + A::kRows - 1) / A::kRows, heads = mask.heads / mask.group;
  BackwardWork w{(tiles - 1 - ticket % tiles) * A::kRows, ticket / tiles % heads, ticket / tiles / heads, 0, 0, 0};
  mask.open(w.batch);
  Limits range = queries_that_see(mask, w.row, min(w.row + A::kRows, mask.keys));
  w.begin = range.first / A::kCols * A::kCols;
  w.per_head = max(0, range.end - w.begin + A::kCols - 1) / A::kCols;
  w.steps = w.per_head * mask.group;
  return w;
}

// Of a step: the queries' first position, and their head.
struct BackwardPlace {
  int col, head;
  __device__ __forceinline__ BackwardPlace(const BackwardWork& w, int group) : col(w.begin), head(w.head * group) {}
  template <class A>
  __device__ __forceinline__ void next(const BackwardWork& w) {
    col += A::kCols;
    if (col >= w.begin + w.per_head * A::kCols) {  // the group's next query head
      col = w.begin;
      head++;
    }
  }
};

// Fills the rings. One thread. Zeros beyond the tensors count as bytes that arrive.
template <class A>
__device__ __forceinline__ void bring(const BackwardTiles<A>& tiles, BackwardShared<A>& shared, const TensorMap* k, const TensorMap* v, const TensorMap* q,
                                      const TensorMap* dy, const float* stats, int padded, const BackwardWork& w, const Mask& mask) {
  auto load = [&](unsigned char* to, int box_bytes, const TensorMap* map, uint64_t* arrived, int row, int head) {
#pragma unroll
    for (int i = 0; i < A::kBoxes; i++) tma_load_4d(to + i * box_bytes, map, arrived, 64 * i, row, head, w.batch);
  };
  mbarrier_arrive_expect(&shared.rows, 2 * A::kRowBytes);          // @expect-rows
  load(tiles.k, A::kRowBoxBytes, k, &shared.rows, w.row, w.head);  // @load-k
  load(tiles.v, A::kRowBoxBytes, v, &shared.rows, w.row, w.head);  // @load-v
  RingPlace<A::kStages> ring;
  BackwardPlace at(w, mask.group);
#pragma unroll 1
  for (int step = 0; step < w.steps; step++) {
    uint64_t *q_full = shared.q_full + ring.slot, *dy_full = shared.dy_full + ring.slot;
    mbarrier_wait(shared.q_empty + ring.slot, ring.parity ^ 1);                             // @q-empty-wait
    mbarrier_arrive_expect(q_full, A::kColBytes + A::kStats * 4);                           // @expect-q
    load(tiles.q + ring.slot * A::kColBytes, A::kColBoxBytes, q, q_full, at.col, at.head);  // @load-q
    const float* from = stats + 2 * ((int64_t{w.batch} * mask.heads + at.head) * padded + at.col);
    bulk_load(shared.stats[ring.slot], from, A::kStats * 4, q_full);                           // @load-stats
    mbarrier_wait(shared.dy_empty + ring.slot, ring.parity ^ 1);                               // @dy-empty-wait
    mbarrier_arrive_expect(dy_full, A::kColBytes);                                             // @expect-dy
    load(tiles.dy + ring.slot * A::kColBytes, A::kColBoxBytes, dy, dy_full, at.col, at.head);  // @load-dy
    ring.next();    // @bring-next
    at.next<A>(w);  // @bring-place
  }
}

// Adds the parts of dq to what blocks of later keys have added. One thread. sums[b, h, i]: a tile's, as `hand_over` has it.
template <class A>
__device__ __forceinline__ void add(const unsigned char* part, BackwardShared<A>& shared, float* sums, int* turns, int padded, const BackwardWork& w, const Mask& mask) {
  BackwardPlace at(w, mask.group);
#pragma unroll 1
  for (int step = 0; step < w.steps; step++) {
    int last = mask.length - 1;  // of the keys that the tile sees
    if (mask.causal) last = min(last, mask.position(min(at.col + A::kCols, mask.queries) - 1));
    int turn = last / A::kRows - w.row / A::kRows;
    int64_t tile = (int64_t{w.batch} * mask.heads + at.head) * (padded / A::kCols) + at.col / A::kCols;
    float* to = sums + tile * (A::kDqBytes / 4);
    mbarrier_wait(&shared.dq_full, step % 2);  // @dq-full-wait
    turn_wait(turns + tile, turn);             // @turn-wait
    if (turn == 0) {
      bulk_store(to, part, A::kDqBytes);  // @dq-store
    } else {
      bulk_add(to, part, A::kDqBytes);  // @dq-add
    }
    tma_store_commit();                 // @dq-commit
    tma_store_wait_read<0>();           // @dq-wait-read
    mbarrier_arrive(&shared.dq_empty);  // @dq-release
    tma_store_wait<0>();                // @dq-wait
    turn_pass(turns + tile, turn + 1);  // @turn-pass
    at.next<A>(w);                      // @add-place
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
}

// A warpgroup's columns of dq, thread by thread: of 8 columns each has 4 elements, 16 bytes, those of a warp side by side.
// Nobody reads them but attention_hopper_dq.
__device__ __forceinline__ void hand_over(unsigned char* part, const float (&dq)[32]) {
#pragma unroll
  for (int j = 0; j < 8; j++) {
    store_vec(reinterpret_cast<float*>(part + (j * 128 + threadIdx.x % 128) * 16), Vec<float, 4>{{dq[4 * j], dq[4 * j + 1], dq[4 * j + 2], dq[4 * j + 3]}});
  }
}

// Empties the rings. A warpgroup, which has 64 of the block's keys.
template <class A, class T>
__device__ __forceinline__ void differentiate(int warpgroup, const BackwardTiles<A>& tiles, BackwardShared<A>& shared, const TensorMap* dk, const TensorMap* dv,
                                              const Mask& mask, const BackwardWork& w) {
  constexpr int kDim = A::kDim, kCols = A::kCols;
  unsigned char *my_k = tiles.k + warpgroup * 64 * 128, *my_v = tiles.v + warpgroup * 64 * 128;  // this warpgroup's rows of each box
  int warp_row = w.row + warpgroup * 64 + warp_index() % 4 * 16, row = warp_row + lane_index() / 4, of_lane = lane_index() % 4 * 2;
  float factor = mask.scale * kLog2E;
  float s[kCols / 2], dp[kCols / 2], sums_dk[kDim / 2] = {}, sums_dv[kDim / 2] = {}, dq[32];
  uint32_t p[kCols / 16][4], ds[kCols / 16][4];
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
  };
  auto release = [&](uint64_t* empty) {
    __syncwarp();  // its other lanes have read their statistics
    if (lane_index() == 0) mbarrier_arrive(empty);
  };

  mbarrier_wait(&shared.rows, 0);  // @rows-wait
  if (w.steps > 0) {
    mbarrier_wait(shared.q_full, 0);  // @first-q-wait
    BackwardPlace at(w, mask.group);
#pragma unroll 1
    for (int step = 0; step < w.steps; step++) {
      unsigned char *tile_q = tiles.q + ring.slot * A::kColBytes, *tile_dy = tiles.dy + ring.slot * A::kColBytes;
      unsigned char* tile_ds = tiles.ds + step % 2 * A::kDsBytes;  // @ds-place
      const float* in_col = shared.stats[ring.slot] + 2 * of_lane;
      float delta[kCols / 4];
      mbarrier_wait(shared.dy_full + ring.slot, ring.parity);  // @dy-wait
      wgmma_fence();                                           // @fence
      product(s, my_k, tile_q);
      product(dp, my_v, tile_dy);
      Reach mine = mask.reach(at.col, min(at.col + kCols, mask.queries));
      wgmma_wait<1>();                                                                     // @scores-wait
      if (!mine.covers(warp_row, warp_row + 16)) hide<A>(s, mask, row, at.col + of_lane);  // @hide
#pragma unroll
      for (int j = 0; j < kCols / 8; j++) {
        auto pairs = load_vec<4>(in_col + 16 * j);
        delta[2 * j] = pairs[1], delta[2 * j + 1] = pairs[3];
#pragma unroll
        for (int i = 0; i < 4; i++) s[4 * j + i] = exp2_approx(fmaf(s[4 * j + i], factor, -pairs[i % 2 * 2]));
      }
      // A wait for products may be moved up by ptxas as far as there is no branch, here to before the exponentials; the wait
      // for the next queries is one. First operands in registers may not be written while products are under way.
      int slot = ring.slot;
      ring.next();                                                                    // @ring-next
      if (step + 1 < w.steps) mbarrier_wait(shared.q_full + ring.slot, ring.parity);  // @q-wait
      wgmma_wait<0>();                                                                // @dp-wait
#pragma unroll
      for (int j = 0; j < kCols / 8; j++) {
#pragma unroll
        for (int i = 0; i < 4; i++) dp[4 * j + i] = s[4 * j + i] * (dp[4 * j + i] - delta[2 * j + i % 2]);
      }
      pack_into<T>(p, s);
      pack_into<T>(ds, dp);
      fill_box<T>(tile_ds + warpgroup * A::kDsBoxBytes, dp);  // @fill-ds
      fence_proxy_async();                                    // @ds-fence
      wgmma_fence();                                          // @sums-fence
      accumulate(sums_dv, p, tile_dy);
      accumulate(sums_dk, ds, tile_q);
      wgmma_commit();                               // @sums-commit
      named_barrier_sync(3, 128 * A::kWarpgroups);  // @ds-barrier
      if (A::kDqWarpgroups == A::kWarpgroups || step % 2 == warpgroup) {
        int box = A::kDqWarpgroups == A::kWarpgroups ? warpgroup : 0;
        uint64_t of_k = wgmma_descriptor_transposed(tiles.k + box * A::kRowBoxBytes, A::kRowBoxBytes);
        wgmma_fence();  // @dq-fence
#pragma unroll
        for (int i = 0; i < A::kRows / 16; i++) {
          uint64_t of_ds = wgmma_descriptor_transposed(tile_ds + i / 4 * A::kDsBoxBytes, A::kDsBoxBytes);
          wgmma_m64k16<64, T, true, true>(dq, wgmma_advance(of_ds, i % 4 * 2048), wgmma_advance(of_k, i * 2048), i > 0);
        }
        wgmma_commit();                                                    // @dq-product-commit
        wgmma_wait<1>();                                                   // @sums-wait
        release(shared.dy_empty + slot);                                   // @dy-release
        release(shared.q_empty + slot);                                    // @q-release
        mbarrier_wait(&shared.dq_empty, step % 2 ^ 1);                     // @dq-empty-wait
        wgmma_wait<0>();                                                   // @dq-product-wait
        hand_over(tiles.dq + box * (A::kDqBytes / A::kDqWarpgroups), dq);  // @hand-over
        fence_proxy_async();                                               // @dq-proxy-fence
        release(&shared.dq_full);                                          // @dq-arrive
      } else {
        wgmma_wait<0>();  // @other-sums-wait
        release(shared.dy_empty + slot);
        release(shared.q_empty + slot);
      }
      at.next<A>(w);  // @place-next
    }
  }

  // Results leave from where keys and values were, when both warpgroups have done with them.
#pragma unroll
  for (int i = 0; i < kDim / 2; i++) sums_dk[i] *= mask.scale;
  named_barrier_sync(3, 128 * A::kWarpgroups);  // @rows-barrier
#pragma unroll
  for (int i = 0; i < A::kBoxes; i++) {
    fill_box<T>(my_k + i * A::kRowBoxBytes, sums_dk + 32 * i);  // @fill
    fill_box<T>(my_v + i * A::kRowBoxBytes, sums_dv + 32 * i);
  }
  fence_proxy_async();                     // @proxy-fence
  named_barrier_sync(1 + warpgroup, 128);  // @box-barrier
  if (threadIdx.x % 128 == 0) {
    int to = w.row + warpgroup * 64;
#pragma unroll
    for (int i = 0; i < A::kBoxes; i++) {
      tma_store_4d(dk, my_k + i * A::kRowBoxBytes, 64 * i, to, w.head, w.batch);  // @store-dk
      tma_store_4d(dv, my_v + i * A::kRowBoxBytes, 64 * i, to, w.head, w.batch);  // @store-dv
    }
    tma_store_commit();   // @store-commit
    tma_store_wait<0>();  // @store-wait
  }
}

// turns: the ticket that the next block draws, then for each tile of queries how many blocks have added to it.
template <class A, class T>
__device__ __forceinline__ void backward_hopper(const TensorMap* k, const TensorMap* v, const TensorMap* q, const TensorMap* dy, const TensorMap* dk,
                                                const TensorMap* dv, float* sums, int* turns, const float* stats, int padded, Mask mask) {
  DYNAMIC_SHARED(unsigned char, dynamic);
  __shared__ BackwardShared<A> shared;
  if (threadIdx.x == 0) {
    mbarrier_init(&shared.rows, 1);  // @init-rows
    for (int i = 0; i < A::kStages; i++) {
      mbarrier_init(shared.q_full + i, 1);                     // @init-q-full
      mbarrier_init(shared.q_empty + i, 4 * A::kWarpgroups);   // @init-q-empty
      mbarrier_init(shared.dy_full + i, 1);                    // @init-dy-full
      mbarrier_init(shared.dy_empty + i, 4 * A::kWarpgroups);  // @init-dy-empty
    }
    mbarrier_init(&shared.dq_full, 4 * A::kDqWarpgroups);  // @init-dq-full
    mbarrier_init(&shared.dq_empty, 1);                    // @init-dq-empty
    fence_mbarrier_init();                                 // @init-fence
    shared.ticket = atomicAdd(turns, 1);
  }
  __syncthreads();  // @init-barrier
  BackwardTiles<A> tiles(dynamic);
  BackwardWork work = backward_work<A>(mask, __shfl_sync(0xffffffffu, shared.ticket, 0));
  int warpgroup = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / 128, 0);  // the compiler sees that a warp agrees
  if (warpgroup == 0) {
    registers_decrease<24>();  // @registers-bring
    if (threadIdx.x == 0) bring<A>(tiles, shared, k, v, q, dy, stats, padded, work, mask);
    if (threadIdx.x == 32) add<A>(tiles.dq, shared, sums, turns + 1, padded, work, mask);
  } else {
    registers_increase<240>();  // @registers-differentiate
    differentiate<A, T>(warpgroup - 1, tiles, shared, dk, dv, mask, work);
  }
}

// Rounds a tile of `sums` to dq, or adds it to what is there; zeros where no block has added, since its queries see nothing.
// A warp has 16 of a tile's queries and 32 of its columns. Four lanes have 8 columns each of two queries; they exchange
// pairs of columns until each has 8 neighbours.
template <int kDim, class T>
__device__ __forceinline__ void attention_hopper_dq(Heads<T> dq, int accumulate, const float* sums, const int* turns, int64_t jobs, int queries, int heads, int dim,
                                                    int padded, float scale) {
  constexpr int kPerTile = 4 * (kDim / 32);
  int64_t job = int64_t{blockIdx.x} * (kThreads / 32) + warp_index();
  if (job >= jobs) return;
  int64_t tile = job / kPerTile;
  int of_tile = static_cast<int>(job % kPerTile), warp = of_tile % 4, part = of_tile / 4;  // part: 32 columns
  int lane = lane_index(), t = lane % 4, tiles = padded / 64;
  int query = static_cast<int>(tile % tiles) * 64 + 16 * warp + lane / 4, head = static_cast<int>(tile / tiles % heads), batch = static_cast<int>(tile / tiles / heads);
  bool added = turns[tile] > 0;
  const float* from = sums + tile * (64 * kDim) + part * (32 * 64) + (32 * warp + lane) * 4;
  float x[4][4];  // of this lane's 4 elements those of 8 columns, then of the next 8, …
#pragma unroll
  for (int j = 0; j < 4; j++) {
    Vec<float, 4> v{};
    if (added) v = load_vec<4>(from + j * 512);
#pragma unroll
    for (int e = 0; e < 4; e++) x[j][e] = v[e];
  }
  auto exchange = [&](float& low, float& high, int with) {  // the lane without this bit gets `low` of both, the other `high`
    bool upper = (t & with) != 0;
    float got = __shfl_xor_sync(0xffffffffu, upper ? low : high, with);
    low = upper ? got : low;
    high = upper ? high : got;
  };
#pragma unroll
  for (int e = 0; e < 4; e++) {
    exchange(x[0][e], x[1][e], 1);
    exchange(x[2][e], x[3][e], 1);
    exchange(x[0][e], x[2][e], 2);
    exchange(x[1][e], x[3][e], 2);
  }
  int column = 32 * part + 8 * t;
#pragma unroll
  for (int r = 0; r < 2; r++) {
    int row = query + 8 * r;
    if (row >= queries || column >= dim) continue;
    T* to = dq.of(batch, head) + row * dq.time + column;
    Vec<T, 8> y{};
    if (accumulate) y = load_vec<8>(to);
#pragma unroll
    for (int e = 0; e < 8; e++) {
      float value = scale * x[e / 2][2 * r + e % 2];
      y[e] = from_float<T>(accumulate ? to_float(y[e]) + value : value);
    }
    store_vec(to, y);
  }
}

// D is part of the name by which AttentionBackwardHopper asks for a kernel.
#define MAP(name) const __grid_constant__ TensorMap name
#define BACKWARD(d, T, suffix)                                                                                                                          \
  KERNEL(attention_backward_hopper_d##d##_##suffix,                                                                                                     \
         (MAP(k), MAP(v), MAP(q), MAP(dy), MAP(dk), MAP(dv), float* sums, int* turns, const float* stats, int padded, MASK_PARAMETERS),                 \
         HopperBackward<d>::kThreads, 1) {                                                                                                              \
    backward_hopper<HopperBackward<d>, T>(&k, &v, &q, &dy, &dk, &dv, sums, turns, stats, padded, AS_MASK);                                              \
  }                                                                                                                                                     \
  KERNEL(attention_backward_hopper_dq_d##d##_##suffix,                                                                                                  \
         (HEADS(T, dq), int accumulate, const float* sums, const int* turns, int64_t jobs, int queries, int heads, int dim, int padded, float scale), \
         kThreads) {                                                                                                                                    \
    attention_hopper_dq<d, T>(AS_HEADS(T, dq), accumulate, sums, turns, jobs, queries, heads, dim, padded, scale);                                      \
  }
