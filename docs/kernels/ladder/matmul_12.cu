// matmul_12.cu — c = a · b, a [m, k], b [k, n] in bf16, c [m, n] in fp32: one warpgroup brings, two multiply
//
// Changed: the work is divided by kind. One thread of the first warpgroup does nothing but fill stages; two warpgroups do
// nothing but multiply, 64x256 of c each. No barrier of the block in the loop: every stage has two mbarriers.
//
//   full[s]    the bringing thread announces 48 KB and arrives; passed when they have come
//   empty[s]   an arrival of each multiplying warpgroup; passed when both have read the stage
//
// 64x256 sums are 128 registers of every thread. A block of 384 threads begins with 168 for each; setmaxnreg moves what the
// first warpgroup does not need to the other two. A step of 128x256 brings 48 KB for twice the work of rung 11's 32 KB.
//
// Limit: while results are written, nothing is multiplied and nothing is brought.
#include "hopper.cuh"

// Blocks: x over columns, 256 each, y over rows of c, 128 each. Maps as in rung 10.
KERNEL(matmul_12, (float* c, const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, int m, int n, int k), 384, 1) {
  constexpr int kRows = 128, kCols = 256, kDeep = 64, kBox = 64 * 128, kStages = 3, kStage = 6 * kBox;
  DYNAMIC_SHARED(unsigned char, stages);
  __shared__ uint64_t full[kStages], empty[kStages];
  int row = static_cast<int>(blockIdx.y) * kRows, col = static_cast<int>(blockIdx.x) * kCols, steps = (k + kDeep - 1) / kDeep;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; i++) {
      mbarrier_init(full + i, 1);
      mbarrier_init(empty + i, 2);
    }
    fence_mbarrier_init();
  }
  __syncthreads();

  int warpgroup = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / 128, 0);
  if (warpgroup == 0) {
    registers_decrease<40>();
    if (threadIdx.x != 0) return;
    for (int step = 0; step < steps; step++) {
      int slot = step % kStages, round = step / kStages;
      unsigned char* to = stages + slot * kStage;
      mbarrier_wait(empty + slot, (round + 1) % 2);  // the phase before the first counts as passed
      mbarrier_arrive_expect(full + slot, kStage);
      tma_load_2d(to, &a, full + slot, step * kDeep, row);
      for (int i = 0; i < 4; i++) tma_load_2d(to + (2 + i) * kBox, &b, full + slot, col + 64 * i, step * kDeep);
    }
    return;
  }
  registers_increase<232>();
  float sums[kCols / 2];
  for (int step = 0; step < steps; step++) {
    int slot = step % kStages;
    unsigned char* tiles = stages + slot * kStage;
    uint64_t p = wgmma_descriptor(tiles + (warpgroup - 1) * kBox), q = wgmma_descriptor_transposed(tiles + 2 * kBox, kBox);
    mbarrier_wait(full + slot, step / kStages % 2);
    wgmma_fence();
#pragma unroll
    for (int i = 0; i < 4; i++) wgmma_m64k16<kCols, bf16, false, true>(sums, wgmma_advance(p, i * 32), wgmma_advance(q, i * 2048), step + i > 0);
    wgmma_commit();
    wgmma_wait<1>();
    if (step > 0 && threadIdx.x % 128 == 0) mbarrier_arrive(empty + (step - 1) % kStages);
  }
  wgmma_wait<0>();

  int r = row + (warpgroup - 1) * 64 + warp_index() % 4 * 16 + lane_index() / 4, s = col + lane_index() % 4 * 2;
#pragma unroll
  for (int i = 0; i < kCols / 4; i++) {
    int at_row = r + i % 2 * 8, at_col = s + i / 2 * 8;
    if (at_row < m && at_col < n) store_vec(c + int64_t{at_row} * n + at_col, Vec<float, 2>{{sums[2 * i], sums[2 * i + 1]}});
  }
}
