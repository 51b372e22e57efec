// partial_sum.cu — sum[c] (+)= Σ_r partial[r,c], all fp32: the second pass of the gradients of norms' weights and of biases
// Tiling: a block of 16 warps per 32 columns; each warp adds every 16th row, eight loads under way at a time, then their
//   sums are added in the order of the warps. So the order depends on the number of rows alone, and runs repeat bit for
//   bit.
// Traffic: 4·R·C + 4·C bytes.  FLOPs: R·C, memory bound (from L2: the first pass has just written it).
// Measured: not yet.
#include "row.cuh"

constexpr int kSumWarps = 16;

KERNEL(partial_sum, (float* sum, int accumulate, const float* partial, int64_t rows, int cols), kSumWarps * kWarp) {
  __shared__ float sums[kSumWarps][kWarp];
  int column = blockIdx.x * kWarp + lane_index();
  float mine = 0;
  if (column < cols) {
#pragma unroll 8
    for (int64_t r = warp_index(); r < rows; r += kSumWarps) mine += partial[r * cols + column];
  }
  sums[warp_index()][lane_index()] = mine;
  __syncthreads();
  if (warp_index() != 0 || column >= cols) return;
  float total = 0;
  for (int i = 0; i < kSumWarps; i++) total += sums[i][lane_index()];
  sum[column] = (accumulate ? sum[column] : 0.0f) + total;
}
