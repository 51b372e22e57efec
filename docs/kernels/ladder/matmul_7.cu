// matmul_7.cu — c = a · b, a [m, k], b [k, n] in bf16, c [m, n] in fp32: swizzle in the place of padding
//
// Changed: rows are as long as the tile. Where chunk c (8 elements, 16 bytes) of row r lies is c ^ s(r), and s is chosen
// so that both accesses spread over all 32 banks: the 8 neighbouring chunks of a row that are written at once, and the
// same chunk of 8 successive rows that ldmatrix reads at once.
//
//   b, rows of 256 bytes, s = r % 8          a, rows of 64 bytes, s = r/2 % 4; two rows fill the banks
//     r=0    0 1 2 3 4 5 6 7 | 8 …             r=0,1   0 1 2 3 | 0 1 2 3
//     r=1    1 0 3 2 5 4 7 6 | 9 …             r=2,3   1 0 3 2 | 1 0 3 2
//     r=2    2 3 0 1 6 7 4 5 |                 r=4,5   2 3 0 1 | 2 3 0 1
//     …      the digit is the chunk that       r=6,7   3 2 1 0 | 3 2 1 0
//            lies there                                the same digit in 8 rows: 8 different places
//
// Why: 16 KB a step instead of 18.5. Three steps at once are 48 KB, what a block may have on every card without asking
// for more, and they are whole multiples of the 128-byte lines in which copies arrive.
//
// Limit: as before, waiting: a step brings its tiles, waits, multiplies, waits.
#include "common.cuh"

// Where a chunk of a row lies in its tile, in elements.
__device__ __forceinline__ int at_a(int row, int chunk) { return row * 32 + (chunk ^ row / 2 % 4) * 8; }
__device__ __forceinline__ int at_b(int row, int chunk) { return row * 128 + (chunk ^ row % 8) * 8; }

// Blocks: x over columns, y over rows of c, 128 each. k, n multiples of 8: rows begin at 16-byte boundaries.
KERNEL(matmul_7, (float* c, const bf16* a, const bf16* b, int m, int n, int k), 128) {
  constexpr int kEdge = 128, kDeep = 32, kThreads = 128, kChunks = kEdge * kDeep / 8;
  alignas(128) __shared__ bf16 a_tile[kEdge * kDeep], b_tile[kDeep * kEdge];
  int thread = static_cast<int>(threadIdx.x), lane = lane_index();
  int row = static_cast<int>(blockIdx.y) * kEdge, col = static_cast<int>(blockIdx.x) * kEdge;
  int warp_row = warp_index() / 2 * 64, warp_col = warp_index() % 2 * 64;

  float sums[4][8][4] = {};  // [patch of 16 rows][patch of 8 columns][a lane's four]
#pragma unroll 1
  for (int step = 0; step < k; step += kDeep) {
#pragma unroll
    for (int hop = 0; hop < kChunks; hop += kThreads) {
      int i = hop + thread, r = i / 4, l = i % 4 * 8, at = i / 16, s = i % 16 * 8;
      Vec<bf16, 8> from_a = {}, from_b = {};
      if (row + r < m && step + l < k) from_a = load_vec<8>(a + int64_t{row + r} * k + step + l);
      if (step + at < k && col + s < n) from_b = load_vec<8>(b + int64_t{step + at} * n + col + s);
      store_vec(a_tile + at_a(r, i % 4), from_a);
      store_vec(b_tile + at_b(at, i % 16), from_b);
    }
    __syncthreads();
#pragma unroll
    for (int l = 0; l < kDeep; l += 16) {
      uint32_t p[4][4], q[4][4];
#pragma unroll
      for (int i = 0; i < 4; i++) {
        ldmatrix_x4(p[i], a_tile + at_a(warp_row + 16 * i + lane % 16, l / 8 + lane / 16));
        ldmatrix_x4_trans(q[i], b_tile + at_b(l + lane % 16, warp_col / 8 + 2 * i + lane / 16));
      }
#pragma unroll
      for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int j = 0; j < 8; j++) {
          uint32_t two[2] = {q[j / 2][j % 2 * 2], q[j / 2][j % 2 * 2 + 1]};
          mma_m16n8k16<bf16>(sums[i][j], p[i], two);
        }
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 4; i++) {
#pragma unroll
    for (int j = 0; j < 8; j++) {
#pragma unroll
      for (int half = 0; half < 2; half++) {  // a lane has row lane/4 and the one 8 below, 2 columns of each
        int r = row + warp_row + 16 * i + 8 * half + lane / 4, s = col + warp_col + 8 * j + 2 * (lane % 4);
        if (r < m && s < n) store_vec(c + int64_t{r} * n + s, Vec<float, 2>{{sums[i][j][2 * half], sums[i][j][2 * half + 1]}});
      }
    }
  }
}
