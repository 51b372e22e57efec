// attention_8.cu — o = softmax(scale · q · kᵀ) · v for each head: scores of the next tile before this tile's values
//   q, k, v [heads, tokens, 64] in bf16, o in fp32; causal: query i sees keys 0 … i
//
// Changed: two products are under way while threads make probabilities. The scores of tile t are issued first, then p·v of
// tile t - 1; wgmma_wait<1> waits for the scores alone, and their softmax runs while the tensor cores add values.
//
//   tensor cores   s 0 |           | s 1 | p·v 0     | s 2 | p·v 1     | … | p·v n
//   threads            | softmax 0 |     | softmax 1 |     | softmax 2 | …
//
// So o shrinks after the product of the tile before, and each ring has two stages: keys of t + 2 follow those of t, values
// of t + 1 those of t - 1. One block barrier a tile says that both have been read.
//
// What the library's kernel has besides (attention_forward_hopper.cu, ../attention.md): 128 queries and keys, a warpgroup
// that brings tiles while two or three multiply, in turns, blocks that stay, sums that are scaled where maxima rose, heads of
// 128, windows and documents, results by TMA.
#include "hopper.cuh"

// A lane's scores s[4j + 2r + e]: row + 8r, key 8j + 2·(lane%4) + e of the tile. They become probabilities; shrink: what
// sums so far count now.
__device__ __forceinline__ void softmax(float (&s)[32], float (&top)[2], float (&total)[2], float (&shrink)[2], float factor) {
#pragma unroll
  for (int r = 0; r < 2; r++) {
    float most = top[r], sum = 0.0f;
#pragma unroll
    for (int c = 0; c < 16; c++) most = fmaxf(most, s[c / 2 * 4 + r * 2 + c % 2] *= factor);
    most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
    most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
    shrink[r] = exp2_approx(top[r] - most);  // key 0 is seen by all: most > −∞
#pragma unroll
    for (int c = 0; c < 16; c++) sum += s[c / 2 * 4 + r * 2 + c % 2] = exp2_approx(s[c / 2 * 4 + r * 2 + c % 2] - most);
    top[r] = most, total[r] = fmaf(total[r], shrink[r], sum);
  }
}

__device__ __forceinline__ void pack_into(uint32_t (&p)[4][4], const float (&s)[32]) {
#pragma unroll
  for (int i = 0; i < 16; i++) p[i / 4][i % 4] = pack<bf16>(s[2 * i], s[2 * i + 1]);
}

// As attention_7; shared memory for five tiles.
KERNEL(attention_8,
       (float* o, const __grid_constant__ TensorMap q, const __grid_constant__ TensorMap k, const __grid_constant__ TensorMap v, int tokens, float scale,
        int causal),
       128) {
  constexpr int kDim = 64, kRows = 64, kTile = kRows * 128;
  DYNAMIC_SHARED(unsigned char, shared);  // queries, two tiles of keys, two of values
  __shared__ uint64_t arrived[5];
  unsigned char *keys = shared + kTile, *values = shared + 3 * kTile;
  int head = static_cast<int>(blockIdx.y), tile = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kRows;
  int end = causal ? min(tokens, tile + kRows) : tokens, count = (end + kRows - 1) / kRows;
  int lane = lane_index(), row = tile + warp_index() * 16 + lane / 4;  // and row + 8
  auto bring = [&](int slot, const TensorMap* map, int first) {
    if (threadIdx.x != 0) return;
    mbarrier_arrive_expect(arrived + slot, kTile);
    tma_load_3d(shared + slot * kTile, map, arrived + slot, 0, first, head);
  };
  if (threadIdx.x == 0) {
    for (uint64_t& barrier : arrived) mbarrier_init(&barrier, 1);
    fence_mbarrier_init();
  }
  __syncthreads();
  bring(0, &q, tile);
  for (int t = 0; t < min(2, count); t++) {
    bring(1 + t, &k, t * kRows);
    bring(3 + t, &v, t * kRows);
  }

  float s[kRows / 2], sums[kDim / 2] = {}, top[2] = {-INFINITY, -INFINITY}, total[2] = {}, shrink[2], factor = scale * 1.442695041f;
  uint32_t p[4][4];
  auto issue_scores = [&](int t) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      wgmma_m64k16<kRows, bf16>(s, wgmma_advance(wgmma_descriptor(shared), i * 32), wgmma_advance(wgmma_descriptor(keys + t % 2 * kTile), i * 32), i > 0);
    }
    wgmma_commit();
  };
  auto issue_values = [&](int t) {
    mbarrier_wait(arrived + 3 + t % 2, t / 2 % 2);
    wgmma_fence();
    uint64_t from = wgmma_descriptor_transposed(values + t % 2 * kTile, kTile);
#pragma unroll
    for (int i = 0; i < 4; i++) wgmma_m64k16<kDim, bf16, true>(sums, p[i], wgmma_advance(from, i * 2048));
    wgmma_commit();
  };
  auto hide = [&](int t) {
    if (t * kRows + kRows <= (causal ? tile : tokens)) return;  // every query sees every key
#pragma unroll
    for (int c = 0; c < kRows / 2; c++) {
      int key = t * kRows + c / 4 * 8 + lane % 4 * 2 + c % 2, query = row + 8 * (c / 2 % 2);
      if (key >= tokens || (causal && key > query)) s[c] = -INFINITY;
    }
  };

  mbarrier_wait(arrived, 0);
  mbarrier_wait(arrived + 1, 0);
  wgmma_fence();
  issue_scores(0);
  wgmma_wait<0>();
  hide(0);
  softmax(s, top, total, shrink, factor);
  pack_into(p, s);
  __syncthreads();  // the first keys have been read by all
  if (2 < count) bring(1, &k, 2 * kRows);
  if (1 < count) mbarrier_wait(arrived + 2, 0);
#pragma unroll 1
  for (int t = 1; t < count; t++) {
    wgmma_fence();
    issue_scores(t);
    issue_values(t - 1);
    wgmma_wait<1>();
    hide(t);
    softmax(s, top, total, shrink, factor);
    // A branch: ptxas would move the wait for the values up to before the softmax.
    if (t + 1 < count) mbarrier_wait(arrived + 1 + (t + 1) % 2, (t + 1) / 2 % 2);
    wgmma_wait<0>();
    __syncthreads();  // keys of t and values of t - 1 have been read by all
    if (t + 2 < count) bring(1 + t % 2, &k, (t + 2) * kRows);
    if (t + 1 < count) bring(3 + (t + 1) % 2, &v, (t + 1) * kRows);
#pragma unroll
    for (int i = 0; i < kDim / 2; i++) sums[i] *= shrink[i / 2 % 2];
    pack_into(p, s);
  }
  issue_values(count - 1);
  wgmma_wait<0>();
#pragma unroll
  for (int r = 0; r < 2; r++) {
    total[r] += __shfl_xor_sync(0xffffffffu, total[r], 1);
    total[r] += __shfl_xor_sync(0xffffffffu, total[r], 2);
    float* to = o + (int64_t{head} * tokens + row + 8 * r) * kDim + lane % 4 * 2;
#pragma unroll
    for (int c = 0; c < 8; c++) {
      if (row + 8 * r < tokens) store_vec(to + 8 * c, Vec<float, 2>{{sums[4 * c + 2 * r] / total[r], sums[4 * c + 2 * r + 1] / total[r]}});
    }
  }
}
