// attention_3.cu — o = softmax(scale · q · kᵀ) · v for each head: keys and values by the tile
//   q, k, v [heads, tokens, 64] in bf16, o in fp32; causal: query i sees keys 0 … i
//
// Changed: the block brings 32 keys and their values into shared memory, as floats, and all of its 128 queries use them.
// Scores of a tile are 32 registers, so maximum and shrinking, too, happen once a tile instead of once a key.
//
//   q  ┌──────┐            keys →  ┌────┬────┬────┬──        a block has 128 rows of the scores, a thread has one; the
//      │thread│                    │tile│tile│ …             tiles come by, and with a tile's scores in registers
//      │thread│  s = q·kᵀ:         │    │                      m' = max(m, max_j s_j)
//      │ …    │                    │    │                      l' = l · 2^(m − m') + Σ_j p_j
//      └──────┘                    └────┴──                    o' = o · 2^(m − m') + Σ_j p_j · v_j
//
// Why: a key is loaded and converted once for 128 queries: 2 bytes from memory for 128 multiply-adds, not 2. And
// shrinking o is one multiplication for 32 multiply-adds, not one for one.
//
// Keys beyond the end are zeros with a score of −∞; queries beyond it compute something that nobody stores.
//
// Limit: multiply-adds, a quarter of a shared load for each, and one row a thread is too few queries to fill a card.
#include "common.cuh"

// Grid: x over queries, a thread each; y over heads. Rows of q, k and v begin at 16-byte boundaries.
KERNEL(attention_3, (float* o, const bf16* q, const bf16* k, const bf16* v, int tokens, float scale, int causal), 128) {
  constexpr int kDim = 64, kKeys = 32, kThreads = 128;
  alignas(16) __shared__ float keys[kKeys][kDim], values[kKeys][kDim];
  int thread = static_cast<int>(threadIdx.x), query = static_cast<int>(blockIdx.x) * kThreads + thread;
  int64_t head = int64_t{blockIdx.y} * tokens, row = (head + query) * kDim;

  float mine[kDim], sums[kDim] = {}, top = -INFINITY, total = 0.0f;
#pragma unroll
  for (int d = 0; d < kDim; d++) mine[d] = query < tokens ? to_float(q[row + d]) * scale * 1.442695041f : 0.0f;
#pragma unroll 1
  for (int first = 0; first < tokens; first += kKeys) {
    __syncthreads();  // the tile before has been read
#pragma unroll
    for (int hop = 0; hop < kKeys * kDim / 8; hop += kThreads) {
      int i = hop + thread, j = i / 8, d = i % 8 * 8;
      Vec<bf16, 8> key = {}, value = {};
      if (first + j < tokens) key = load_vec<8>(k + (head + first + j) * kDim + d), value = load_vec<8>(v + (head + first + j) * kDim + d);
#pragma unroll
      for (int e = 0; e < 8; e++) keys[j][d + e] = to_float(key[e]), values[j][d + e] = to_float(value[e]);
    }
    __syncthreads();
    float s[kKeys], most = top;
#pragma unroll
    for (int j = 0; j < kKeys; j++) {
      s[j] = 0.0f;
#pragma unroll
      for (int d = 0; d < kDim; d++) s[j] = fmaf(mine[d], keys[j][d], s[j]);
      if (first + j >= tokens || (causal && first + j > query)) s[j] = -INFINITY;
      most = fmaxf(most, s[j]);
    }
    float shrink = exp2_approx(top - most);  // key 0 is seen by all: most > −∞
    top = most;
    total *= shrink;
#pragma unroll
    for (int d = 0; d < kDim; d++) sums[d] *= shrink;
#pragma unroll
    for (int j = 0; j < kKeys; j++) {
      float p = exp2_approx(s[j] - most);
      total += p;
#pragma unroll
      for (int d = 0; d < kDim; d++) sums[d] = fmaf(p, values[j][d], sums[d]);
    }
  }
  if (query >= tokens) return;
#pragma unroll
  for (int d = 0; d < kDim; d += 4) store_vec(o + row + d, Vec<float, 4>{{sums[d] / total, sums[d + 1] / total, sums[d + 2] / total, sums[d + 3] / total}});
}
