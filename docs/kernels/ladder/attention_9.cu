// attention_9.cu — o = softmax(scale · q · kᵀ) · v for each head: one warpgroup brings, three multiply in turns, blocks stay
//   q, k, v [heads, tokens, 64] in bf16, o in fp32; causal: query i sees keys 0 … i
//
// Changed: the work is divided by kind, as in matmul_12. One thread fills a ring with tiles of 128 keys or values, in the order
// in which they are read: k 0, k 1, v 0, k 2, v 1, … k n, v n - 1, v n. A stage is full when its bytes have come, and empty when
// all warpgroups have read it. No barrier of the block in the loop.
//
//   warpgroup 1   s, p·v | softmax           | s, p·v | …        A warpgroup issues both products of rung 8, then passes the
//   warpgroup 2          | s, p·v | softmax           | …        turn on: its softmax runs beside the products of the others,
//   warpgroup 3                   | s, p·v | softmax  | …        and not beside their softmax.
//
// A named barrier for each: 128 threads wait for their turn, 128 pass it on. 128 keys are 64 scores, 32 registers of
// probabilities and 32 sums of a thread; setmaxnreg takes 96 from the first warpgroup for 32 more in each of the others.
//
// Blocks stay, as in matmul_13: the ring does not end with a block's queries, and the next queries come after the last scores.
//
// What the library's kernel has besides (attention_forward_hopper.cu, ../attention.md): sums that are scaled where maxima rose
// a lot, work by a counter, heads of 128, grouped queries, windows and documents, results in half precision by TMA.
#include "attention_steps.cuh"
#include "hopper_tile.cuh"

constexpr int kDim = 64, kWarpgroups = 3, kRows = 64 * kWarpgroups, kKeys = 128, kTile = kKeys * 128, kStages = 4;

// The longest rows of a causal mask are the first.
struct Work {
  int row, head, tiles;
  __device__ __forceinline__ Work(int place, int heads, int tokens, int causal)
      : row(((tokens + kRows - 1) / kRows - 1 - place / heads) * kRows),
        head(place % heads),
        tiles(((causal ? min(tokens, row + kRows) : tokens) + kKeys - 1) / kKeys) {}
};

// As many blocks as there are multiprocessors. Boxes of maps: 192 rows of q, 128 of k and v. Shared memory: the ring, queries.
KERNEL(attention_9,
       (float* o, const __grid_constant__ TensorMap q, const __grid_constant__ TensorMap k, const __grid_constant__ TensorMap v, int heads, int tokens,
        float scale, int causal),
       128 * (1 + kWarpgroups), 1) {
  DYNAMIC_SHARED(unsigned char, ring);
  __shared__ uint64_t full[kStages], empty[kStages], queries_full, queries_empty;
  unsigned char* queries = ring + kStages * kTile;
  int end = (tokens + kRows - 1) / kRows * heads, first = static_cast<int>(blockIdx.x), blocks = static_cast<int>(gridDim.x), parity = 0;
  RingPlace<kStages> at;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; i++) mbarrier_init(full + i, 1), mbarrier_init(empty + i, kWarpgroups);
    mbarrier_init(&queries_full, 1), mbarrier_init(&queries_empty, kWarpgroups);
    fence_mbarrier_init();
  }
  __syncthreads();

  int warpgroup = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / 128, 0);
  if (warpgroup == 0) {
    registers_decrease<32>();
    if (threadIdx.x != 0) return;
    for (int place = first; place < end; place += blocks, parity ^= 1) {
      Work w(place, heads, tokens, causal);
      auto bring = [&](const TensorMap* map, int tile) {
        mbarrier_wait(empty + at.slot, at.parity ^ 1);  // the phase before the first counts as passed
        mbarrier_arrive_expect(full + at.slot, kTile);
        tma_load_3d(ring + at.slot * kTile, map, full + at.slot, 0, tile * kKeys, w.head);
        at.next();
      };
      mbarrier_wait(&queries_empty, parity ^ 1);
      mbarrier_arrive_expect(&queries_full, kRows * 128);
      tma_load_3d(queries, &q, &queries_full, 0, w.row, w.head);
      bring(&k, 0);
      for (int t = 0; t < w.tiles; t++) {
        if (t + 1 < w.tiles) bring(&k, t + 1);
        bring(&v, t);
      }
    }
    return;
  }

  registers_increase<160>();
  int me = warpgroup - 1;
  auto arrive = [&](uint64_t* barrier) {
    if (threadIdx.x % 128 == 0) mbarrier_arrive(barrier);
  };
  auto wait_for_turn = [&] { named_barrier_sync(1 + me, 256); };
  auto pass_turn_on = [&] { named_barrier_arrive(1 + (me + 1) % kWarpgroups, 256); };
  auto next_full = [&] {
    int slot = at.slot;
    mbarrier_wait(full + slot, at.parity);
    at.next();
    return slot;
  };
  if (me == kWarpgroups - 1) pass_turn_on();  // the first turn
  for (int place = first; place < end; place += blocks, parity ^= 1) {
    Work w(place, heads, tokens, causal);
    Rows rows{w.row + me * 64 + warp_index() % 4 * 16 + lane_index() / 4, tokens, causal, scale * 1.442695041f};
    float s[kKeys / 2], sums[kDim / 2] = {}, shrink[2];
    uint32_t p[kKeys / 16][4];
    mbarrier_wait(&queries_full, parity);
    int keys = next_full();
    wait_for_turn();
    wgmma_fence();
    issue_scores<kKeys>(s, queries + me * 64 * 128, ring + keys * kTile);
    pass_turn_on();
    wgmma_wait<0>();
    arrive(empty + keys);
    rows.softmax<kKeys>(s, shrink, 0);
    pack_into<kKeys>(p, s);
    if (w.tiles > 1) keys = next_full();
#pragma unroll 1
    for (int t = 1; t < w.tiles; t++) {
      int values = next_full();
      wait_for_turn();
      wgmma_fence();
      issue_scores<kKeys>(s, queries + me * 64 * 128, ring + keys * kTile);
      issue_values<kKeys>(sums, p, ring + values * kTile);
      pass_turn_on();
      wgmma_wait<1>();
      arrive(empty + keys);
      rows.softmax<kKeys>(s, shrink, t * kKeys);
      if (t + 1 < w.tiles) keys = next_full();  // a branch: see rung 8
      wgmma_wait<0>();
      arrive(empty + values);
#pragma unroll
      for (int i = 0; i < kDim / 2; i++) sums[i] *= shrink[i / 2 % 2];
      pack_into<kKeys>(p, s);
    }
    arrive(&queries_empty);
    int values = next_full();
    wgmma_fence();
    issue_values<kKeys>(sums, p, ring + values * kTile);
    wgmma_wait<0>();
    arrive(empty + values);
    rows.store(o + int64_t{w.head} * tokens * kDim, sums);
  }
  if (me == 0) wait_for_turn();  // the last turn that was passed on
}
