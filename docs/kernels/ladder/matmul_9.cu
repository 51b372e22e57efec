// matmul_9.cu — c = a · b, a [m, k], b [k, n] in bf16, c [m, n] in fp32: fragments one half step ahead
//
// Changed: the overlap goes on inside of a warp. A step's 32 of k are two halves of 16 with registers of their own: one
// is read by ldmatrix while the other is multiplied.
//
//   mma.sync    first of step s        | second of step s
//   ldmatrix    second of step s       | first of step s + 1
//                                      ^ wait, barrier, bring step s + 3
//
// At the barrier step s has been read to its end, although half of it is still to be multiplied: its stage is free, and
// the tile three steps ahead can be brought into it. So three stages now hold what two did.
//
// What else the library's kernel does (matmul.cuh, ../matmul.md): four layouts, tiles in an order that suits the L2
// cache, results through shared memory with bias and activation, k in parts. Its main loop is this one.
//
// Limit: mma.sync. It reads its operands from registers, a warp at a time; a Hopper card gives it about two thirds of
// its peak. The rungs that follow would be wgmma, which reads shared memory itself, and TMA, which fills it.
#include "common.cuh"

// Where a chunk of a row lies in its tile, in elements.
__device__ __forceinline__ int at_a(int row, int chunk) { return row * 32 + (chunk ^ row / 2 % 4) * 8; }
__device__ __forceinline__ int at_b(int row, int chunk) { return row * 128 + (chunk ^ row % 8) * 8; }

// Blocks: x over columns, y over rows of c, 128 each. k, n multiples of 8: rows begin at 16-byte boundaries.
KERNEL(matmul_9, (float* c, const bf16* a, const bf16* b, int m, int n, int k), 128) {
  constexpr int kEdge = 128, kDeep = 32, kStages = 3;
  alignas(128) __shared__ bf16 a_tiles[kStages][kEdge * kDeep], b_tiles[kStages][kDeep * kEdge];
  int thread = static_cast<int>(threadIdx.x), lane = lane_index();
  int row = static_cast<int>(blockIdx.y) * kEdge, col = static_cast<int>(blockIdx.x) * kEdge;
  int warp_row = warp_index() / 2 * 64, warp_col = warp_index() % 2 * 64;

  int a_row = row + thread / 4, a_l = thread % 4 * 8, b_l = thread / 16, b_col = col + thread % 16 * 8;  // this thread's first chunks
  auto bring = [&](int step) {
    bf16 *to_a = a_tiles[step % kStages] + at_a(thread / 4, thread % 4), *to_b = b_tiles[step % kStages] + at_b(b_l, thread % 16);
    int l = step * kDeep;
    const bf16 *from_a = a + int64_t{a_row} * k + l + a_l, *from_b = b + int64_t{l + b_l} * n + b_col;
#pragma unroll
    for (int i = 0; i < 4; i++) {  // rows 32, or 8, apart are swizzled alike; a copy of 0 bytes reads nothing
      cp_async<16>(to_a + i * 32 * kDeep, from_a + i * 32 * int64_t{k}, a_row + 32 * i < m && l + a_l < k ? 16 : 0);
      cp_async<16>(to_b + i * 8 * kEdge, from_b + i * 8 * int64_t{n}, l + b_l + 8 * i < k && b_col < n ? 16 : 0);
    }
    cp_async_commit();
  };

  auto read = [&](uint32_t (&p)[4][4], uint32_t (&q)[4][4], int step, int l) {
    const bf16 *a_tile = a_tiles[step % kStages], *b_tile = b_tiles[step % kStages];
#pragma unroll
    for (int i = 0; i < 4; i++) {
      ldmatrix_x4(p[i], a_tile + at_a(warp_row + 16 * i + lane % 16, l / 8 + lane / 16));
      ldmatrix_x4_trans(q[i], b_tile + at_b(l + lane % 16, warp_col / 8 + 2 * i + lane / 16));
    }
  };
  float sums[4][8][4] = {};  // [patch of 16 rows][patch of 8 columns][a lane's four]
  auto multiply = [&](const uint32_t (&p)[4][4], const uint32_t (&q)[4][4]) {
#pragma unroll
    for (int i = 0; i < 32; i++) {
      uint32_t two[2] = {q[i % 8 / 2][i % 2 * 2], q[i % 8 / 2][i % 2 * 2 + 1]};
      mma_m16n8k16<bf16>(sums[i / 8][i % 8], p[i / 8], two);
    }
  };

  for (int step = 0; step < kStages; step++) bring(step);
  cp_async_wait<kStages - 1>();
  __syncthreads();
  uint32_t first_p[4][4], first_q[4][4], second_p[4][4], second_q[4][4];
  read(first_p, first_q, 0, 0);
#pragma unroll 1
  for (int step = 0; step * kDeep < k; step++) {
    read(second_p, second_q, step, 16);
    multiply(first_p, first_q);
    cp_async_wait<kStages - 2>();  // the next step's have arrived
    __syncthreads();
    bring(step + kStages);
    read(first_p, first_q, step + 1, 0);  // after the last step: of no use
    multiply(second_p, second_q);
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
