// matmul_10.cu — c = a · b, a [m, k], b [k, n] in bf16, c [m, n] in fp32: TMA and wgmma (compute capability 9.0)
//
// Changed: both ends of the pipe. One thread asks for a tile and computes no address: a tensor map, made on the host,
// knows sizes, strides, box and swizzle, and what lies beyond the matrix arrives as zeros. A wgmma is one instruction of
// four warps, 64x128 of c by 16 of k, and reads both operands from shared memory itself: no ldmatrix, no fragments.
//
//   shared memory, bytes    0        8192     16384    24576      a descriptor says where a tile begins and how far apart
//   box (64 of 128 bytes)   a 0…63   a 64…    b 0…63   b 64…      its parts lie; b, stored across k, is no transpose
//                           k →      k →      n →      n →        but another bit of the instruction
//
// The barrier counts bytes: it has been passed when all 32768 of a step have come. wgmma_fence gives the accumulators to
// the tensor cores, wgmma_wait takes them back; in between nobody touches them.
//
// Limit: bring, wait, multiply, wait, as in rung 6.
#include "hopper.cuh"

// Blocks: x over columns, y over rows of c, 128 each. n, k multiples of 8. Boxes of a's map: 128 rows by 64; of b's: 64 rows
// by 64; both with the 128-byte swizzle.
KERNEL(matmul_10, (float* c, const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, int m, int n, int k), 128) {
  constexpr int kEdge = 128, kDeep = 64, kBox = 64 * 128;
  DYNAMIC_SHARED(unsigned char, tiles);
  __shared__ uint64_t arrived;
  int row = static_cast<int>(blockIdx.y) * kEdge, col = static_cast<int>(blockIdx.x) * kEdge;
  if (threadIdx.x == 0) {
    mbarrier_init(&arrived, 1);
    fence_mbarrier_init();
  }
  __syncthreads();

  float sums[2][64];  // [64 rows][8 columns by 8, of each 2 rows' 2]
  for (int step = 0; step * kDeep < k; step++) {
    if (threadIdx.x == 0) {
      mbarrier_arrive_expect(&arrived, 4 * kBox);
      tma_load_2d(tiles, &a, &arrived, step * kDeep, row);
      tma_load_2d(tiles + 2 * kBox, &b, &arrived, col, step * kDeep);
      tma_load_2d(tiles + 3 * kBox, &b, &arrived, col + 64, step * kDeep);
    }
    mbarrier_wait(&arrived, step % 2);
    wgmma_fence();
#pragma unroll
    for (int i = 0; i < 4; i++) {  // 16 of k: 32 bytes further in a's rows, 16 rows further in b's
      uint64_t q = wgmma_advance(wgmma_descriptor_transposed(tiles + 2 * kBox, kBox), i * 16 * 128);
#pragma unroll
      for (int half = 0; half < 2; half++) {
        wgmma_m64k16<kEdge, bf16, false, true>(sums[half], wgmma_advance(wgmma_descriptor(tiles + half * kBox), i * 32), q, step + i > 0);
      }
    }
    wgmma_commit();
    wgmma_wait<0>();
    __syncthreads();  // all four warps: the tiles may be overwritten
  }

  int r = row + warp_index() * 16 + lane_index() / 4, s = col + lane_index() % 4 * 2;
#pragma unroll
  for (int i = 0; i < 64; i++) {  // pairs: the upper and the lower 64 rows, then 8 columns, then rows 8 apart
    int at_row = r + i / 32 * 64 + i % 2 * 8, at_col = s + i % 32 / 2 * 8;
    const float* two = sums[i / 32] + i % 32 * 2;
    if (at_row < m && at_col < n) store_vec(c + int64_t{at_row} * n + at_col, Vec<float, 2>{{two[0], two[1]}});
  }
}
