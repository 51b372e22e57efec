// matmul_13.cu — c = a · b, a [m, k], b [k, n] in bf16, c [m, n] in fp32: blocks that stay, results by TMA
//
// Changed: a block takes one tile after the other, and the ring does not end with a tile: while results leave, the next
// tile's first steps arrive. The results go through shared memory in boxes of 64 rows by 32 columns, which TMA stores
// (store_results in matmul_steps.cuh).
//
//   bring     tile 0: 0 1 2 3 … | tile 1: 0 1 2             | 3 4 …
//   multiply         0 1 2 …    |            boxes of tile 0 | tile 1: 0 1 2 …
//   store                       |            0 1 2 3 4 5 6 7 …
#include "matmul_steps.cuh"

// As many blocks as there are multiprocessors. Boxes of c's map: 64 rows by 32, 128-byte swizzle; of a's and b's as in rung 10.
KERNEL(matmul_13, (const __grid_constant__ TensorMap c, const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, int m, int n, int k), 384, 1) {
  constexpr int kRows = 128, kCols = 256, kDeep = 64, kBox = 64 * 128, kStages = 3, kStage = 6 * kBox, kBoxes = 4;
  DYNAMIC_SHARED(unsigned char, stages);
  __shared__ uint64_t full[kStages], empty[kStages];
  int wide = (n + kCols - 1) / kCols, tiles = (m + kRows - 1) / kRows * wide, steps = (k + kDeep - 1) / kDeep;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; i++) {
      mbarrier_init(full + i, 1);
      mbarrier_init(empty + i, 2);
    }
    fence_mbarrier_init();
  }
  __syncthreads();

  int warpgroup = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / 128, 0), slot = 0, parity = 0;
  auto next = [&] {
    slot = (slot + 1) % kStages;
    parity ^= slot == 0;
  };
  if (warpgroup == 0) {
    registers_decrease<40>();
    if (threadIdx.x != 0) return;
    for (int tile = static_cast<int>(blockIdx.x); tile < tiles; tile += static_cast<int>(gridDim.x)) {
      for (int step = 0; step < steps; step++, next()) {
        unsigned char* to = stages + slot * kStage;
        mbarrier_wait(empty + slot, parity ^ 1);
        mbarrier_arrive_expect(full + slot, kStage);
        tma_load_2d(to, &a, full + slot, step * kDeep, tile / wide * kRows);
        for (int i = 0; i < 4; i++) tma_load_2d(to + (2 + i) * kBox, &b, full + slot, tile % wide * kCols + 64 * i, step * kDeep);
      }
    }
    return;
  }
  registers_increase<232>();
  int me = warpgroup - 1, filled = 0;
  bool leads = threadIdx.x % 128 == 0;
  for (int tile = static_cast<int>(blockIdx.x); tile < tiles; tile += static_cast<int>(gridDim.x)) {
    float sums[kCols / 2];
    uint64_t* before = nullptr;
    for (int step = 0; step < steps; step++, next()) {
      unsigned char* from = stages + slot * kStage;
      uint64_t p = wgmma_descriptor(from + me * kBox), q = wgmma_descriptor_transposed(from + 2 * kBox, kBox);
      mbarrier_wait(full + slot, parity);
      wgmma_fence();
#pragma unroll
      for (int i = 0; i < 4; i++) wgmma_m64k16<kCols, bf16, false, true>(sums, wgmma_advance(p, i * 32), wgmma_advance(q, i * 2048), step + i > 0);
      wgmma_commit();
      wgmma_wait<1>();
      if (before != nullptr && leads) mbarrier_arrive(before);
      before = empty + slot;
    }
    wgmma_wait<0>();
    if (leads) mbarrier_arrive(before);
    store_results<kCols, kBoxes>(stages + kStages * kStage + me * kBoxes * kBox, sums, &c, tile / wide * kRows + 64 * me, tile % wide * kCols, 1 + me, filled);
  }
  if (leads) tma_store_wait<0>();
}
