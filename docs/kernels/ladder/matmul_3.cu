// matmul_3.cu — c = a · b, a [m, k], b [k, n] in bf16, c [m, n] in fp32: tiles in shared memory
//
// Changed: a block of threads has a square of 32x32 elements of c and walks along k together. For every 32 of k it
// brings a 32x32 tile of a and one of b into shared memory, one element a thread, and multiplies from there.
//
//                   ┌────┐                An element of a tile serves the 32 threads of a row, or of a column:
//                   │tile│ b              global loads are 2 for 32 multiply-adds, where they were 2 for one.
//                   └────┘                Of k steps, 32 at a time:
//        ┌────┐     ┌────┐                  bring | barrier | multiply | barrier
//      a │tile│     │ c  │                The first barrier: all of the tile is there. The second: all of it has
//        └────┘     └────┘                been read, so the next one may overwrite it.
//
// Beyond the edges of a and b the tiles hold zeros, which add nothing to a sum: the loop needs no other guard.
//
// Limit: shared memory. Each multiply-add wants two floats from it. The compiler merges those of a, which are neighbours,
// but shared memory gives 32 floats a clock, and 128 multiply-adds could start in that time.
#include "common.cuh"

// Blocks: x over columns, y over rows of c, 32 each. Any m, n, k.
KERNEL(matmul_3, (float* c, const bf16* a, const bf16* b, int m, int n, int k), 1024) {
  constexpr int kTile = 32;
  __shared__ float a_tile[kTile][kTile], b_tile[kTile][kTile];
  int x = static_cast<int>(threadIdx.x) % kTile, y = static_cast<int>(threadIdx.x) / kTile;
  int row = static_cast<int>(blockIdx.y) * kTile + y, col = static_cast<int>(blockIdx.x) * kTile + x;

  float sum = 0.0f;
#pragma unroll 1
  for (int step = 0; step < k; step += kTile) {
    int l = step + x, at = step + y;  // of this thread's element of a, of b
    a_tile[y][x] = row < m && l < k ? to_float(a[int64_t{row} * k + l]) : 0.0f;
    b_tile[y][x] = at < k && col < n ? to_float(b[int64_t{at} * n + col]) : 0.0f;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kTile; i++) sum = fmaf(a_tile[y][i], b_tile[i][x], sum);
    __syncthreads();
  }
  if (row < m && col < n) c[int64_t{row} * n + col] = sum;
}
