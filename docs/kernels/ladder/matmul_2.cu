// matmul_2.cu — c = a · b, a [m, k], b [k, n] in bf16, c [m, n] in fp32: neighbours read neighbours
//
// Changed: which element of c a thread has. Neighbouring lanes now have neighbouring columns; the loop is the same.
//
//            b  ┌ col col col ┐           In step l a warp reads
//               │  |   |   |  │             a  1 element for all lanes: 1 sector of 32 bytes
//    a          │  v   v   v  │             b  32 neighbours, 64 bytes: 2 sectors
//   row ──→     │  x   x   x  │           3 sectors instead of 33, and every byte of b's is used. c, too, is now
//               └─────────────┘           written in whole sectors.
//
// Why: the memory system serves a warp, not a thread. It merges the addresses of a load instruction into as many
// sectors as they touch, so the order of lanes decides how much is moved for the same 32 multiply-adds.
//
// Limit: still two loads for each multiply-add. a is read n times, b m times, if not from memory then from the caches,
// which deliver some hundred times less than the arithmetic could take.
#include "common.cuh"

// Threads: one for each element of c, in blocks of 256, first along a row of c. Any m, n, k.
KERNEL(matmul_2, (float* c, const bf16* a, const bf16* b, int m, int n, int k), 256) {
  int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;  // m·n may pass 2^31
  int64_t row = i / n, col = i % n;
  if (row >= m) return;

  float sum = 0.0f;
#pragma unroll 1
  for (int l = 0; l < k; l++) {
    float x = to_float(a[row * k + l]);
    float y = to_float(b[l * int64_t{n} + col]);
    sum = fmaf(x, y, sum);
  }
  c[row * n + col] = sum;
}
