// matmul_5.cu — c = a · b, a [m, k], b [k, n] in bf16, c [m, n] in fp32: 16 bytes an instruction
//
// Changed: everything that moves, moves in 16 bytes. From memory 8 bf16 come at once; from shared memory 4 floats do, so
// a thread's rows and columns now are 2 groups of 4 neighbours: 4 loads for 64 multiply-adds, where there were 16.
//
// For that the tile of a lies along k, a_tile[l][row], turned while it is written. A store instruction then writes one
// float a lane: 16 rows for l, and 16 rows for l + 8, which would be the same 16 of the 32 banks. So the upper half
// of l has its rows 16 aside (`aside`): a swizzle, which costs no memory and keeps groups of 4 together.
//
//                       bank 0 … 15          16 … 31
//   l = 0 … 7           rows 0 … 15          rows 16 … 31
//   l = 8 … 15          rows 16 … 31         rows 0 … 15          the store of a warp: each bank once
//
// A warp is 4x8 threads: for one l it reads 4 groups of a and 8 of b, 16 + 32 floats, each of them once for all lanes.
//
// Limit: the multiply-adds. They are 85 % of a step's instructions, so this is what fp32 units can give: a fifteenth of
// what tensor cores have for bf16. This is where the library's fp32 product stays (matmul_simt.cu).
#include "common.cuh"

// Blocks: x over columns, y over rows of c, 128 each. k, n multiples of 8: rows begin at 16-byte boundaries.
KERNEL(matmul_5, (float* c, const bf16* a, const bf16* b, int m, int n, int k), 256) {
  constexpr int kEdge = 128, kDeep = 16;
  alignas(16) __shared__ float a_tile[kDeep][kEdge], b_tile[kDeep][kEdge];
  int thread = static_cast<int>(threadIdx.x);
  int y = (warp_index() / 2 * 4 + lane_index() / 8) * 4, x = (warp_index() % 2 * 8 + lane_index() % 8) * 4;
  int row = static_cast<int>(blockIdx.y) * kEdge, col = static_cast<int>(blockIdx.x) * kEdge;
  int a_row = thread / 2, a_l = thread % 2 * 8, b_l = thread / 16, b_col = thread % 16 * 8;  // this thread's 8 of each tile
  auto aside = [](int l) { return l / 8 * 16; };

  float sums[8][8] = {};
#pragma unroll 1
  for (int step = 0; step < k; step += kDeep) {
    Vec<bf16, 8> from_a = {}, from_b = {};
    if (row + a_row < m && step + a_l < k) from_a = load_vec<8>(a + int64_t{row + a_row} * k + step + a_l);
    if (step + b_l < k && col + b_col < n) from_b = load_vec<8>(b + int64_t{step + b_l} * n + col + b_col);
#pragma unroll
    for (int i = 0; i < 8; i++) {
      a_tile[a_l + i][a_row ^ aside(a_l)] = to_float(from_a[i]);
      b_tile[b_l][b_col + i] = to_float(from_b[i]);
    }
    __syncthreads();
#pragma unroll
    for (int l = 0; l < kDeep; l++) {
      Vec<float, 4> p[2], q[2];  // this thread's rows of a, columns of b; two groups, 64 apart
#pragma unroll
      for (int g = 0; g < 2; g++) p[g] = load_vec<4>(&a_tile[l][(y + 64 * g) ^ aside(l)]), q[g] = load_vec<4>(&b_tile[l][x + 64 * g]);
#pragma unroll
      for (int i = 0; i < 8; i++) {
#pragma unroll
        for (int j = 0; j < 8; j++) sums[i][j] = fmaf(p[i / 4][i % 4], q[j / 4][j % 4], sums[i][j]);
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 8; i++) {
#pragma unroll
    for (int g = 0; g < 2; g++) {
      int r = row + y + i / 4 * 64 + i % 4, s = col + x + 64 * g;
      if (r < m && s < n) store_vec(c + int64_t{r} * n + s, Vec<float, 4>{{sums[i][4 * g], sums[i][4 * g + 1], sums[i][4 * g + 2], sums[i][4 * g + 3]}});
    }
  }
}
