// matmul_6.cu — c = a · b, a [m, k], b [k, n] in bf16, c [m, n] in fp32: tensor cores
//
// Changed: a warp multiplies, not a thread. mma.sync takes a 16x16 patch of a and a 16x8 patch of b, in bf16, and adds
// their product to 16x8 sums in fp32: 2048 multiply-adds in one instruction. Its operands are scattered over the lanes;
// ldmatrix loads them that way, four 8x8 matrices an instruction (8 lanes point at the rows of each), and with .trans
// their transposes, which b needs, as it is stored across k.
//
//            b tile 32 x 128              A block has 128x128 of c, each of its 4 warps 64x64: 4 patches of a and 8 of
//            ┌─────┬─────┐                b for 16 of k, loaded by 4 + 4 ldmatrix and multiplied by 4·8 mma.sync.
//   a tile   ├─────┼─────┤
//   128 x 32 │ w 0 │ w 1 │                The tiles stay bf16: nothing is converted. Rows are 8 elements longer than
//            ├─────┼─────┤                the tile (80 and 272 bytes), so that the 8 rows that ldmatrix reads at once
//            │ w 2 │ w 3 │                begin in 8 different groups of 4 banks: no conflicts.
//            └─────┴─────┘
//
// Limit: waiting. While tiles are brought nothing is multiplied, and the other way round. And the padding costs a sixth
// of the shared memory, which the next rungs want for something better.
#include "common.cuh"

// Blocks: x over columns, y over rows of c, 128 each. k, n multiples of 8: rows begin at 16-byte boundaries.
KERNEL(matmul_6, (float* c, const bf16* a, const bf16* b, int m, int n, int k), 128) {
  constexpr int kEdge = 128, kDeep = 32, kPad = 8, kThreads = 128, kChunks = kEdge * kDeep / 8;
  alignas(16) __shared__ bf16 a_tile[kEdge][kDeep + kPad], b_tile[kDeep][kEdge + kPad];
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
      store_vec(&a_tile[r][l], from_a);
      store_vec(&b_tile[at][s], from_b);
    }
    __syncthreads();
#pragma unroll
    for (int l = 0; l < kDeep; l += 16) {
      uint32_t p[4][4], q[4][4];
#pragma unroll
      for (int i = 0; i < 4; i++) {
        ldmatrix_x4(p[i], &a_tile[warp_row + 16 * i + lane % 16][l + lane / 16 * 8]);
        ldmatrix_x4_trans(q[i], &b_tile[l + lane % 16][warp_col + 16 * i + lane / 16 * 8]);
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
