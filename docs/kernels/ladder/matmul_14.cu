// matmul_14.cu — c = a · b, a [m, k], b [k, n] in bf16, c [m, n] in fp32: two blocks share b by multicast
//
// Changed: blocks run in clusters of two. Their tiles lie one below the other, so both need the same columns of b: each
// brings half of them, and TMA puts that into the shared memory of both. A block asks the L2 cache for 32 KB a step instead of 48.
//
//   block 0 brings   a, rows 0 … 127        b, columns 0 … 127    ⤵ to both
//   block 1 brings   a, rows 128 … 255      b, columns 128 … 255  ⤴ to both
//
// full counts the bytes that arrive in its own block, whoever sent them: 48 KB as before. A stage may be filled again when
// four warpgroups have read it, in two blocks: they arrive at the barriers of both, by mbarrier_arrive_at, and who brings
// waits by mbarrier_wait_cluster. At the beginning nobody touches the other block's barriers before they are there, at the
// end no block goes while the other may still arrive at its own: a barrier of the cluster each.
//
// What the library's kernel has besides (matmul_hopper.cuh, ../matmul.md): all layouts, an order of tiles for the L2 cache,
// bias and activation, c += …, k in parts; and it is rung 13 where pairs do not pay.
#include "matmul_steps.cuh"

// Pairs of blocks, together as many as there are multiprocessors. Maps as in rung 13.
CLUSTER_KERNEL(2, matmul_14, (const __grid_constant__ TensorMap c, const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, int m, int n, int k), 384, 1) {
  constexpr int kRows = 128, kCols = 256, kDeep = 64, kBox = 64 * 128, kStages = 3, kStage = 6 * kBox, kBoxes = 4;
  DYNAMIC_SHARED(unsigned char, stages);
  __shared__ uint64_t full[kStages], empty[kStages];
  int wide = (n + kCols - 1) / kCols, pairs = (m + 2 * kRows - 1) / (2 * kRows) * wide, steps = (k + kDeep - 1) / kDeep;
  int rank = cluster_rank(), first = static_cast<int>(blockIdx.x) / 2, stride = static_cast<int>(gridDim.x) / 2;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; i++) {
      mbarrier_init(full + i, 1);
      mbarrier_init(empty + i, 4);
    }
    fence_mbarrier_init();
  }
  cluster_barrier();

  int warpgroup = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / 128, 0), slot = 0, parity = 0;
  auto next = [&] {
    slot = (slot + 1) % kStages;
    parity ^= slot == 0;
  };
  if (warpgroup == 0) {
    registers_decrease<40>();
    for (int pair = first; pair < pairs && threadIdx.x == 0; pair += stride) {
      for (int step = 0; step < steps; step++, next()) {
        unsigned char* to = stages + slot * kStage;
        mbarrier_wait_cluster(empty + slot, parity ^ 1);
        mbarrier_arrive_expect(full + slot, kStage);
        tma_load_2d(to, &a, full + slot, step * kDeep, (pair / wide * 2 + rank) * kRows);
        for (int i = 2 * rank; i < 2 * rank + 2; i++) tma_load_2d_multicast(to + (2 + i) * kBox, &b, full + slot, pair % wide * kCols + 64 * i, step * kDeep, 3);
      }
    }
    __syncwarp();
  } else {
    registers_increase<232>();
    int me = warpgroup - 1, thread = static_cast<int>(threadIdx.x) % 128, filled = 0;
    for (int pair = first; pair < pairs; pair += stride) {
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
        if (before != nullptr && thread < 2) mbarrier_arrive_at(before, thread);  // thread 0 in block 0, 1 in block 1
        before = empty + slot;
      }
      wgmma_wait<0>();
      if (thread < 2) mbarrier_arrive_at(before, thread);
      store_results<kCols, kBoxes>(stages + kStages * kStage + me * kBoxes * kBox, sums, &c, (pair / wide * 2 + rank) * kRows + 64 * me, pair % wide * kCols, 1 + me, filled);
    }
    if (thread == 0) tma_store_wait<0>();
  }
  cluster_barrier();
}
