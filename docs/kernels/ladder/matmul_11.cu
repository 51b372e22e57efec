// matmul_11.cu — c = a · b, a [m, k], b [k, n] in bf16, c [m, n] in fp32: a ring of four steps
//
// Changed: four stages, each with a barrier of its own. A stage is asked for three steps before it is multiplied, and one
// step's wgmma is always under way: wgmma_wait<1> waits for the one before, whose stage is then filled again.
//
//   wgmma      step s - 1        | step s
//   under way  s, s+1, s+2       | s+1, s+2, s+3
//                                ^ s - 1 has been read: its stage takes s + 3
//
// A barrier completes once each time round the ring, so the parity to wait for is that of the round.
//
// Limit: the warps that multiply are also those that wait, agree (a block barrier a step) and ask for more.
#include "hopper.cuh"

// As rung 10.
KERNEL(matmul_11, (float* c, const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, int m, int n, int k), 128) {
  constexpr int kEdge = 128, kDeep = 64, kBox = 64 * 128, kStages = 4;
  DYNAMIC_SHARED(unsigned char, stages);
  __shared__ uint64_t arrived[kStages];
  int row = static_cast<int>(blockIdx.y) * kEdge, col = static_cast<int>(blockIdx.x) * kEdge, steps = (k + kDeep - 1) / kDeep;
  auto bring = [&, from_a = &a, from_b = &b](int step) {
    if (threadIdx.x != 0 || step >= steps) return;
    unsigned char* to = stages + step % kStages * 4 * kBox;
    uint64_t* barrier = arrived + step % kStages;
    mbarrier_arrive_expect(barrier, 4 * kBox);
    tma_load_2d(to, from_a, barrier, step * kDeep, row);
    tma_load_2d(to + 2 * kBox, from_b, barrier, col, step * kDeep);
    tma_load_2d(to + 3 * kBox, from_b, barrier, col + 64, step * kDeep);
  };
  if (threadIdx.x == 0) {
    for (uint64_t& barrier : arrived) mbarrier_init(&barrier, 1);
    fence_mbarrier_init();
  }
  __syncthreads();
  for (int step = 0; step < kStages - 1; step++) bring(step);

  float sums[2][64];
  for (int step = 0; step < steps; step++) {
    unsigned char* tiles = stages + step % kStages * 4 * kBox;
    mbarrier_wait(arrived + step % kStages, step / kStages % 2);
    wgmma_fence();
#pragma unroll
    for (int i = 0; i < 4; i++) {
      uint64_t q = wgmma_advance(wgmma_descriptor_transposed(tiles + 2 * kBox, kBox), i * 16 * 128);
#pragma unroll
      for (int half = 0; half < 2; half++) {
        wgmma_m64k16<kEdge, bf16, false, true>(sums[half], wgmma_advance(wgmma_descriptor(tiles + half * kBox), i * 32), q, step + i > 0);
      }
    }
    wgmma_commit();
    wgmma_wait<1>();
    __syncthreads();  // step - 1 has been read by all
    bring(step + kStages - 1);
  }
  wgmma_wait<0>();

  int r = row + warp_index() * 16 + lane_index() / 4, s = col + lane_index() % 4 * 2;
#pragma unroll
  for (int i = 0; i < 64; i++) {
    int at_row = r + i / 32 * 64 + i % 2 * 8, at_col = s + i % 32 / 2 * 8;
    const float* two = sums[i / 32] + i % 32 * 2;
    if (at_row < m && at_col < n) store_vec(c + int64_t{at_row} * n + at_col, Vec<float, 2>{{two[0], two[1]}});
  }
}
