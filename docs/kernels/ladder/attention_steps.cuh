// attention_steps.cuh: the steps of attention_7 that attention_8 and attention_9 arrange anew. A warpgroup has 64 queries of a
// head, 64 elements each; a lane has of a tile of scores s[4j + 2r + e]: row + 8r, key 8j + 2·(lane%4) + e, and sums likewise.
#pragma once
#include "hopper.cuh"

template <int kKeys>
__device__ __forceinline__ void issue_scores(float (&s)[kKeys / 2], const void* queries, const void* keys) {
  uint64_t a = wgmma_descriptor(queries), b = wgmma_descriptor(keys);
#pragma unroll
  for (int i = 0; i < 4; i++) wgmma_m64k16<kKeys, bf16>(s, wgmma_advance(a, i * 32), wgmma_advance(b, i * 32), i > 0);
  wgmma_commit();
}

template <int kKeys>
__device__ __forceinline__ void issue_values(float (&sums)[32], const uint32_t (&p)[kKeys / 16][4], const void* values) {
  uint64_t b = wgmma_descriptor_transposed(values, kKeys * 128);
#pragma unroll
  for (int i = 0; i < kKeys / 16; i++) wgmma_m64k16<64, bf16, true>(sums, p[i], wgmma_advance(b, i * 2048));
  wgmma_commit();
}

// A lane's rows: row and row + 8.
struct Rows {
  int row, tokens, causal;
  float factor;  // of scores to the base 2
  float top[2] = {-INFINITY, -INFINITY}, total[2] = {};

  // s becomes p; shrink: what sums so far count now.
  template <int kKeys>
  __device__ __forceinline__ void softmax(float (&s)[kKeys / 2], float (&shrink)[2], int first_key) {
    if (first_key + kKeys > (causal ? row / 64 * 64 : tokens)) {  // not every query sees every key
#pragma unroll
      for (int c = 0; c < kKeys / 2; c++) {
        int key = first_key + c / 4 * 8 + lane_index() % 4 * 2 + c % 2, query = row + 8 * (c / 2 % 2);
        if (key >= tokens || (causal && key > query)) s[c] = -INFINITY;
      }
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
      float most = top[r], sum = 0.0f;
#pragma unroll
      for (int c = 0; c < kKeys / 4; c++) most = fmaxf(most, s[c / 2 * 4 + r * 2 + c % 2] *= factor);
      most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
      most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
      shrink[r] = exp2_approx(top[r] - most);  // key 0 is seen by all: most > −∞
#pragma unroll
      for (int c = 0; c < kKeys / 4; c++) sum += s[c / 2 * 4 + r * 2 + c % 2] = exp2_approx(s[c / 2 * 4 + r * 2 + c % 2] - most);
      top[r] = most, total[r] = fmaf(total[r], shrink[r], sum);
    }
  }

  // o: of the head.
  __device__ __forceinline__ void store(float* o, const float (&sums)[32]) {
#pragma unroll
    for (int r = 0; r < 2; r++) {
      total[r] += __shfl_xor_sync(0xffffffffu, total[r], 1);
      total[r] += __shfl_xor_sync(0xffffffffu, total[r], 2);
      float *to = o + int64_t{row + 8 * r} * 64 + lane_index() % 4 * 2, inverse = 1.0f / total[r];
#pragma unroll
      for (int c = 0; c < 8; c++) {
        if (row + 8 * r < tokens) store_vec(to + 8 * c, Vec<float, 2>{{sums[4 * c + 2 * r] * inverse, sums[4 * c + 2 * r + 1] * inverse}});
      }
    }
  }
};

template <int kKeys>
__device__ __forceinline__ void pack_into(uint32_t (&p)[kKeys / 16][4], const float (&s)[kKeys / 2]) {
#pragma unroll
  for (int i = 0; i < kKeys / 4; i++) p[i / 4][i % 4] = pack<bf16>(s[2 * i], s[2 * i + 1]);
}
