// matmul_1.cu — c = a · b, a [m, k], b [k, n] in bf16, c [m, n] in fp32: the definition      docs/kernels/ladder/matmul.md
//
// Idea: c[row, col] = Σ_l a[row, l] · b[l, col] is three loops. The grid takes the outer two: each thread has one
// element of c and runs the third loop alone. No thread knows of another one.
//
//            b  ┌ col ┐                   Neighbouring threads, that is lanes of a warp, are given neighbouring rows,
//               │  |  │                   as the first index of c[row, col] suggests. In step l a warp reads
//    a          │  v  │                     a  32 elements, k elements apart: 32 places in memory
//   row ──→     │  x  │                     b  1 element for all lanes
//   row ──→     │  x  │                   Memory is read in sectors of 32 bytes: 33 sectors for 32 multiply-adds.
//   row ──→     └─────┘
//
// Limit: each multiply-add waits for two loads, and of the 32 bytes that come for an a, 2 are used now; the others are
// wanted in the next steps, if the cache still has them by then.
#include "common.cuh"

// Threads: one for each element of c, in blocks of 256, first down a column of c. Any m, n, k.
KERNEL(matmul_1, (float* c, const bf16* a, const bf16* b, int m, int n, int k), 256) {
  int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;  // m·n may pass 2^31
  int64_t row = i % m, col = i / m;
  if (col >= n) return;

  float sum = 0.0f;
#pragma unroll 1  // a step is one pass of the loop, here and in its machine code
  for (int l = 0; l < k; l++) {
    float x = to_float(a[row * k + l]);  // 64-bit products: row, col are
    float y = to_float(b[l * int64_t{n} + col]);
    sum = fmaf(x, y, sum);
  }
  c[row * n + col] = sum;
}
