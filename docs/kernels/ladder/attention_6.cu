// attention_6.cu — o = softmax(scale · q · kᵀ) · v for each head: tiles that no query sees are not read
//   q, k, v [heads, tokens, 64] in bf16, o in fp32; causal: query i sees keys 0 … i
//
// Changed: with a causal mask a block stops at its last query's key, and only tiles that some query sees in part, those
// of the diagonal and of the end, are compared element by element.
//
//            keys →                        block of the grid   4 tiles of queries: 10 of 16 tiles are computed; for
//   queries  ▒                                   3             long sequences half of them
//      ↓     █ ▒                                 2
//            █ █ ▒                               1             ▒ masked    █ whole    rest: not even loaded
//            █ █ █ ▒                             0
//
// The longest rows come first (`tile`): blocks begin in the order of their numbers, and short ones fill the gaps that
// are left at the end.
//
// Limit: mma.sync and the softmax between the products, which tensor cores wait for.
#include "common.cuh"

constexpr int kDim = 64, kRows = 64, kThreads = 128;

// Where a chunk of 8 elements of a row lies in its tile.
__device__ __forceinline__ int at(int row, int chunk) { return row * kDim + (chunk ^ row % 8) * 8; }

// Begins to bring 64 rows from `first` on; zeros beyond the last.
__device__ __forceinline__ void bring(bf16* tile, const bf16* from, int first, int tokens) {
#pragma unroll
  for (int hop = 0; hop < kRows * kDim / 8; hop += kThreads) {
    int i = hop + static_cast<int>(threadIdx.x);
    bool there = first + i / 8 < tokens;
    cp_async<16>(tile + at(i / 8, i % 8), there ? from + int64_t{first + i / 8} * kDim + i % 8 * 8 : from, there ? 16 : 0);
  }
  cp_async_commit();
}

// Grid: x over 64 queries each, y over heads. Rows of q, k and v begin at 16-byte boundaries.
KERNEL(attention_6, (float* o, const bf16* q, const bf16* k, const bf16* v, int tokens, float scale, int causal), 128) {
  alignas(128) __shared__ bf16 queries[kRows * kDim], keys[kRows * kDim], values[kRows * kDim];
  int64_t head = int64_t{blockIdx.y} * tokens * kDim;
  int tile = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kRows, end = causal ? min(tokens, tile + kRows) : tokens;
  int lane = lane_index(), row = tile + warp_index() * 16 + lane / 4;  // and row + 8
  float sums[8][4] = {}, top[2] = {-INFINITY, -INFINITY}, total[2] = {}, factor = scale * 1.442695041f;
  bring(queries, q + head, tile, tokens);
  bring(keys, k + head, 0, tokens);
#pragma unroll 1
  for (int first = 0; first < end; first += kRows) {
    cp_async_wait<0>();
    __syncthreads();  // the keys are there for all; the values before have been read by all
    bring(values, v + head, first, tokens);
    bool whole = first + kRows <= (causal ? tile : tokens);  // every query sees every key
    float s[8][4] = {};  // [8 keys][rows row, row + 8; 2 keys of each]
#pragma unroll
    for (int i = 0; i < 16; i++) {  // 4 times 16 of the sum, 4 times 16 keys
      uint32_t a[4], b[4];
      ldmatrix_x4(a, queries + at(warp_index() * 16 + lane % 16, i / 4 * 2 + lane / 16));
      ldmatrix_x4(b, keys + at(i % 4 * 16 + lane / 16 * 8 + lane % 8, i / 4 * 2 + lane / 8 % 2));
      mma_m16n8k16<bf16>(s[i % 4 * 2], a, {b[0], b[1]});
      mma_m16n8k16<bf16>(s[i % 4 * 2 + 1], a, {b[2], b[3]});
    }
    cp_async_wait<0>();
    __syncthreads();  // the values are there; the keys have been read
    if (first + kRows < end) bring(keys, k + head, first + kRows, tokens);
#pragma unroll
    for (int c = 0; !whole && c < 32; c++) {
      int key = first + c / 4 * 8 + lane % 4 * 2 + c % 2, query = row + 8 * (c / 2 % 2);
      if (key >= tokens || (causal && key > query)) s[c / 4][c % 4] = -INFINITY;
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
      float most = top[r], sum = 0.0f;
#pragma unroll
      for (int c = 0; c < 16; c++) {
        float& x = s[c / 2][r * 2 + c % 2];
        most = fmaxf(most, x *= factor);
      }
      most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
      most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
      float shrink = exp2_approx(top[r] - most);  // key 0 is seen by all: most > −∞
#pragma unroll
      for (int c = 0; c < 16; c++) {
        float& x = s[c / 2][r * 2 + c % 2];
        sum += x = exp2_approx(x - most);
        sums[c / 2][r * 2 + c % 2] *= shrink;
      }
      top[r] = most, total[r] = fmaf(total[r], shrink, sum);
    }
#pragma unroll
    for (int i = 0; i < 16; i++) {  // 4 times 16 keys, 4 times 16 elements
      const float (&left)[4] = s[i / 4 * 2], (&right)[4] = s[i / 4 * 2 + 1];
      uint32_t a[4] = {pack<bf16>(left[0], left[1]), pack<bf16>(left[2], left[3]), pack<bf16>(right[0], right[1]), pack<bf16>(right[2], right[3])}, b[4];
      ldmatrix_x4_trans(b, values + at(i / 4 * 16 + lane % 16, i % 4 * 2 + lane / 16));
      mma_m16n8k16<bf16>(sums[i % 4 * 2], a, {b[0], b[1]});
      mma_m16n8k16<bf16>(sums[i % 4 * 2 + 1], a, {b[2], b[3]});
    }
  }
#pragma unroll
  for (int r = 0; r < 2; r++) {
    total[r] += __shfl_xor_sync(0xffffffffu, total[r], 1);
    total[r] += __shfl_xor_sync(0xffffffffu, total[r], 2);
    float* to = o + head + int64_t{row + 8 * r} * kDim + lane % 4 * 2;
#pragma unroll
    for (int c = 0; c < 8; c++) {
      if (row + 8 * r < tokens) store_vec(to + 8 * c, Vec<float, 2>{{sums[c][2 * r] / total[r], sums[c][2 * r + 1] / total[r]}});
    }
  }
}
