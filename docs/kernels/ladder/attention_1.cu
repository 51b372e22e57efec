// attention_1.cu — o = softmax(scale · q · kᵀ) · v for each head, in three passes      docs/kernels/ladder/attention.md
//   q, k, v [heads, tokens, 64] in bf16, o in fp32; causal: query i sees keys 0 … i
//
// Idea: the definition, an operator each, with the scores s [heads, tokens, tokens] between them in memory.
//
//   scores    s_ij = scale · Σ_d q_id · k_jd     a thread for each score, −∞ where the key is hidden
//   softmax   p_ij = e^(s_ij − max_j s_ij) / Σ   a thread for each row, in place: three walks along the row
//   values    o_id = Σ_j p_ij · v_jd             a thread for each element of o
//
// Limit: s. It is written once and read four times, written once more: 24 bytes a score, 1.6 GB for one head of 8192
// tokens, while q, k, v and o are 5 MB. And it must be allocated: memory grows with the square of the length.
#include "common.cuh"

constexpr int kDim = 64;

// Grid: x over query and key, y over heads.
KERNEL(attention_1_scores, (float* s, const bf16* q, const bf16* k, int tokens, float scale, int causal), 256) {
  int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, query = i / tokens, key = i % tokens;
  if (query >= tokens) return;
  int64_t head = int64_t{blockIdx.y} * tokens;  // in rows
  float sum = 0.0f;
#pragma unroll 1
  for (int d = 0; d < kDim; d++) sum = fmaf(to_float(q[(head + query) * kDim + d]), to_float(k[(head + key) * kDim + d]), sum);
  s[head * tokens + i] = causal && key > query ? -INFINITY : scale * sum;
}

// Grid: x over queries, y over heads.
KERNEL(attention_1_softmax, (float* s, int tokens), 256) {
  int64_t query = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (query >= tokens) return;
  float* row = s + (int64_t{blockIdx.y} * tokens + query) * tokens;
  float top = -INFINITY, total = 0.0f;
#pragma unroll 1
  for (int j = 0; j < tokens; j++) top = fmaxf(top, row[j]);
#pragma unroll 1
  for (int j = 0; j < tokens; j++) total += expf(row[j] - top);
#pragma unroll 1
  for (int j = 0; j < tokens; j++) row[j] = expf(row[j] - top) / total;
}

// Grid: x over query and element, y over heads.
KERNEL(attention_1_values, (float* o, const float* s, const bf16* v, int tokens), 256) {
  int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x, query = i / kDim, d = i % kDim;
  if (query >= tokens) return;
  int64_t head = int64_t{blockIdx.y} * tokens;
  float sum = 0.0f;
#pragma unroll 1
  for (int j = 0; j < tokens; j++) sum = fmaf(s[(head + query) * tokens + j], to_float(v[(head + j) * kDim + d]), sum);
  o[(head + query) * kDim + d] = sum;
}
