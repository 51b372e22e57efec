// attention_2.cu — o = softmax(scale · q · kᵀ) · v for each head: online softmax, a row a thread
//   q, k, v [heads, tokens, 64] in bf16, o in fp32; causal: query i sees keys 0 … i
//
// Changed: one walk along the keys instead of three passes. With m the largest score so far, l the sum of exponentials
// and o the weighted sum of values, all relative to m, a key with score s updates a row whatever came before:
//
//   m' = max(m, s)     p = 2^(s − m')     l' = l · 2^(m − m') + p     o' = o · 2^(m − m') + p · v       in the end o / l
//
// Scores are in base 2: log2 e is part of the scale, and the exponential is one instruction (ex2). A thread keeps its
// row of q and of o in registers, 64 + 64 floats, and no score lives longer than the step that uses it.
//
// Why: nothing of size tokens² exists any more. Memory is linear in the length.
//
// Limit: loads. Every thread reads all keys and values: 4 bytes from the caches for 2 multiply-adds. All lanes of a warp
// read the same address, so one transaction serves them, but nothing is shared between the warps of a block. And each
// key costs 64 multiplications to shrink o, though its maximum seldom rises.
#include "common.cuh"

constexpr int kDim = 64;

// Grid: x over queries, a thread each; y over heads. Rows of q, k and v begin at 16-byte boundaries.
KERNEL(attention_2, (float* o, const bf16* q, const bf16* k, const bf16* v, int tokens, float scale, int causal), 128) {
  int query = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (query >= tokens) return;
  int64_t head = int64_t{blockIdx.y} * tokens, row = (head + query) * kDim;

  float mine[kDim], sums[kDim] = {}, top = -INFINITY, total = 0.0f;
#pragma unroll
  for (int d = 0; d < kDim; d++) mine[d] = to_float(q[row + d]) * scale * 1.442695041f;
#pragma unroll 1
  for (int j = 0; j < tokens; j++) {
    float s = 0.0f;
#pragma unroll
    for (int d = 0; d < kDim; d += 8) {
      auto eight = load_vec<8>(k + (head + j) * kDim + d);
#pragma unroll
      for (int e = 0; e < 8; e++) s = fmaf(mine[d + e], to_float(eight[e]), s);
    }
    if (causal && j > query) s = -INFINITY;
    float most = fmaxf(top, s), shrink = exp2_approx(top - most), p = exp2_approx(s - most);  // key 0 is seen by all: most > −∞
    top = most;
    total = fmaf(total, shrink, p);
#pragma unroll
    for (int d = 0; d < kDim; d += 8) {
      auto eight = load_vec<8>(v + (head + j) * kDim + d);
#pragma unroll
      for (int e = 0; e < 8; e++) sums[d + e] = fmaf(p, to_float(eight[e]), sums[d + e] * shrink);
    }
  }
#pragma unroll
  for (int d = 0; d < kDim; d += 4) store_vec(o + row + d, Vec<float, 4>{{sums[d] / total, sums[d + 1] / total, sums[d + 2] / total, sums[d + 3] / total}});
}
