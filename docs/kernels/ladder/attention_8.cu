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
#include "attention_steps.cuh"

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

  Rows rows{tile + warp_index() * 16 + lane_index() / 4, tokens, causal, scale * 1.442695041f};
  float s[kRows / 2], sums[kDim / 2] = {}, shrink[2];
  uint32_t p[4][4];
  auto add_values = [&](int t) {
    mbarrier_wait(arrived + 3 + t % 2, t / 2 % 2);
    wgmma_fence();
    issue_values<kRows>(sums, p, values + t % 2 * kTile);
  };

  mbarrier_wait(arrived, 0);
  mbarrier_wait(arrived + 1, 0);
  wgmma_fence();
  issue_scores<kRows>(s, shared, keys);
  wgmma_wait<0>();
  rows.softmax<kRows>(s, shrink, 0);
  pack_into<kRows>(p, s);
  __syncthreads();  // the first keys have been read by all
  if (2 < count) bring(1, &k, 2 * kRows);
  if (1 < count) mbarrier_wait(arrived + 2, 0);
#pragma unroll 1
  for (int t = 1; t < count; t++) {
    wgmma_fence();
    issue_scores<kRows>(s, shared, keys + t % 2 * kTile);
    add_values(t - 1);
    wgmma_wait<1>();
    rows.softmax<kRows>(s, shrink, t * kRows);
    // A branch: ptxas would move the wait for the values up to before the softmax.
    if (t + 1 < count) mbarrier_wait(arrived + 1 + (t + 1) % 2, (t + 1) / 2 % 2);
    wgmma_wait<0>();
    __syncthreads();  // keys of t and values of t - 1 have been read by all
    if (t + 2 < count) bring(1 + t % 2, &k, (t + 2) * kRows);
    if (t + 1 < count) bring(3 + (t + 1) % 2, &v, (t + 1) * kRows);
#pragma unroll
    for (int i = 0; i < kDim / 2; i++) sums[i] *= shrink[i / 2 % 2];
    pack_into<kRows>(p, s);
  }
  add_values(count - 1);
  wgmma_wait<0>();
  rows.store(o + int64_t{head} * tokens * kDim, sums);
}
