// matmul_steps.cuh: what matmul_13 and matmul_14 have in common: results leave by TMA.
#pragma once
#include "hopper.cuh"

// A warpgroup's 64 x kCols sums, whose first element is c[row, col], in fp32, through its boxes in shared memory: 64 rows of
// 128 bytes, swizzled by hand as the map of c has it. The thread that issues a store waits until an older box has been
// read; then comes the barrier of the warpgroup, and all may fill it again. filled: boxes so far.
// fence_proxy_async: TMA reads past the path of ordinary stores, so everyone who wrote says so before the barrier.
template <int kCols, int kBoxes>
__device__ __forceinline__ void store_results(unsigned char* boxes, const float (&sums)[kCols / 2], const TensorMap* c, int row, int col, int barrier,
                                              int& filled) {
  constexpr int kBox = 64 * 128;
  bool leads = threadIdx.x % 128 == 0;
#pragma unroll
  for (int i = 0; i < kCols / 32; i++, filled++) {
    unsigned char* box = boxes + filled % kBoxes * kBox;
    int r = warp_index() % 4 * 16 + lane_index() / 4, s = lane_index() % 4;
#pragma unroll
    for (int j = 0; j < 8; j++) {  // 8 columns are two chunks of 16 bytes; rows 8 apart are swizzled alike
      unsigned char* at = box + (r + j % 2 * 8) * 128 + ((j / 2 * 2 + s / 2) ^ r % 8) * 16 + s % 2 * 8;
      store_vec(reinterpret_cast<float*>(at), Vec<float, 2>{{sums[16 * i + 2 * j], sums[16 * i + 2 * j + 1]}});
    }
    fence_proxy_async();
    if (leads) tma_store_wait_read<kBoxes - 2>();  // the next box has been read
    named_barrier_sync(barrier, 128);
    if (leads) {
      tma_store_2d(c, box, col + 32 * i, row);
      tma_store_commit();
    }
  }
}
