// matmul_4.cu — c = a · b, a [m, k], b [k, n] in bf16, c [m, n] in fp32: a thread keeps 8x8 sums in registers
//
// Changed: a thread has 64 elements of c instead of one. For one l it reads 8 elements of a and 8 of b and combines
// each with each: 16 shared loads for 64 multiply-adds, a quarter of a load each, where there were two.
//
//                 b: 8 values                     The block's tile grows with it, 256 threads · 64 = 128x128: an
//               x  x  x  x  …                     element in shared memory serves 128 multiply-adds, and global
//          x  [ x·x  x·x  …                       loads fall to 2 for 128.
//   a: 8   x  [ x·x  x·x  …                       A thread's rows and columns lie 16 apart, so that 16 neighbours
//          x  [ …             64 sums             read 16 neighbouring floats of b: no bank twice.
//
// Registers are the one memory that keeps up with the arithmetic. 64 sums and 16 operands are a third of the 255 that
// a thread can have; 16x16 would be too many.
//
// Limit: instructions. More than a quarter of a step's are no multiply-adds: the shared loads, and for every single
// element of a tile a load, a conversion, a store and two comparisons.
#include "common.cuh"

// Blocks: x over columns, y over rows of c, 128 each. Any m, n, k.
KERNEL(matmul_4, (float* c, const bf16* a, const bf16* b, int m, int n, int k), 256) {
  constexpr int kEdge = 128, kDeep = 16, kMine = 8, kThreads = 256, kApart = kEdge / kMine;
  __shared__ float a_tile[kEdge][kDeep], b_tile[kDeep][kEdge];
  int thread = static_cast<int>(threadIdx.x), x = thread % kApart, y = thread / kApart;
  int row = static_cast<int>(blockIdx.y) * kEdge, col = static_cast<int>(blockIdx.x) * kEdge;

  float sums[kMine][kMine] = {};
#pragma unroll 1
  for (int step = 0; step < k; step += kDeep) {
#pragma unroll
    for (int hop = 0; hop < kEdge * kDeep; hop += kThreads) {
      int i = hop + thread, r = i / kDeep, l = i % kDeep;
      a_tile[r][l] = row + r < m && step + l < k ? to_float(a[int64_t{row + r} * k + step + l]) : 0.0f;
      int at = i / kEdge, s = i % kEdge;
      b_tile[at][s] = step + at < k && col + s < n ? to_float(b[int64_t{step + at} * n + col + s]) : 0.0f;
    }
    __syncthreads();
#pragma unroll
    for (int l = 0; l < kDeep; l++) {
      float from_a[kMine], from_b[kMine];
#pragma unroll
      for (int i = 0; i < kMine; i++) from_a[i] = a_tile[y + kApart * i][l], from_b[i] = b_tile[l][x + kApart * i];
#pragma unroll
      for (int i = 0; i < kMine; i++) {
#pragma unroll
        for (int j = 0; j < kMine; j++) sums[i][j] = fmaf(from_a[i], from_b[j], sums[i][j]);
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < kMine; i++) {
#pragma unroll
    for (int j = 0; j < kMine; j++) {
      int r = row + y + kApart * i, s = col + x + kApart * j;
      if (r < m && s < n) c[int64_t{r} * n + s] = sums[i][j];
    }
  }
}
