// attention_7.cu — o = softmax(scale · q · kᵀ) · v for each head: compute capability 9.0, TMA and wgmma
//   q, k, v [heads, tokens, 64] in bf16, o in fp32; causal: query i sees keys 0 … i
//
// Changed: 4 warps are one warpgroup and multiply 64 queries by 64 keys at once; wgmma reads queries, keys and values from
// shared memory itself. One thread asks TMA for whole tiles, and an mbarrier counts their bytes. What was
// 64 mma.sync, 36 ldmatrix and 8 cp.async of each thread is 8 wgmma, whose registers hold what those of mma.sync held:
// sums in pairs, which, packed, are the first operand of p·v.
//
//   tensor cores   s = q·kᵀ |         | o += p·v |           keys are free after s, values after o: each is asked for
//   threads                 | softmax |          | shrink    again by the thread that leads, a tile ahead
//
// The maps have three dimensions, 64 elements by 64 tokens by 1 head: what lies beyond a head's last token is zero, and no
// next head's row. o shrinks before the product, since nothing may touch its registers while one is under way.
//
// Limit: tensor cores rest during softmax, threads while tensor cores work.
#include "hopper.cuh"

// Grid: x over 64 queries each, y over heads. Boxes of the maps: 64 elements by 64 tokens, 128-byte swizzle.
KERNEL(attention_7,
       (float* o, const __grid_constant__ TensorMap q, const __grid_constant__ TensorMap k, const __grid_constant__ TensorMap v, int tokens, float scale,
        int causal),
       128) {
  constexpr int kDim = 64, kRows = 64, kTile = kRows * 128;
  DYNAMIC_SHARED(unsigned char, tiles);  // of queries, keys, values
  __shared__ uint64_t arrived[3];
  int head = static_cast<int>(blockIdx.y), tile = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kRows;
  int end = causal ? min(tokens, tile + kRows) : tokens, lane = lane_index(), row = tile + warp_index() * 16 + lane / 4;  // and row + 8
  auto bring = [&](int what, const TensorMap* map, int first) {
    if (threadIdx.x != 0 || first >= tokens) return;
    mbarrier_arrive_expect(arrived + what, kTile);
    tma_load_3d(tiles + what * kTile, map, arrived + what, 0, first, head);
  };
  if (threadIdx.x == 0) {
    for (uint64_t& barrier : arrived) mbarrier_init(&barrier, 1);
    fence_mbarrier_init();
  }
  __syncthreads();
  bring(0, &q, tile);
  bring(1, &k, 0);
  bring(2, &v, 0);

  float sums[kDim / 2] = {}, top[2] = {-INFINITY, -INFINITY}, total[2] = {}, factor = scale * 1.442695041f;
  mbarrier_wait(arrived, 0);
#pragma unroll 1
  for (int first = 0, parity = 0; first < end; first += kRows, parity ^= 1) {
    float s[kRows / 2];  // s[4j + 2r + e]: row + 8r, key 8j + 2·(lane%4) + e of the tile
    mbarrier_wait(arrived + 1, parity);
    wgmma_fence();
#pragma unroll
    for (int i = 0; i < 4; i++) {
      wgmma_m64k16<kRows, bf16>(s, wgmma_advance(wgmma_descriptor(tiles), i * 32), wgmma_advance(wgmma_descriptor(tiles + kTile), i * 32), i > 0);
    }
    wgmma_commit();
    wgmma_wait<0>();
    __syncthreads();  // the keys have been read by all
    if (first + kRows < end) bring(1, &k, first + kRows);
    bool whole = first + kRows <= (causal ? tile : tokens);  // every query sees every key
#pragma unroll
    for (int c = 0; !whole && c < kRows / 2; c++) {
      int key = first + c / 4 * 8 + lane % 4 * 2 + c % 2, query = row + 8 * (c / 2 % 2);
      if (key >= tokens || (causal && key > query)) s[c] = -INFINITY;
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
      float most = top[r], sum = 0.0f;
#pragma unroll
      for (int c = 0; c < 16; c++) most = fmaxf(most, s[c / 2 * 4 + r * 2 + c % 2] *= factor);
      most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
      most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
      float shrink = exp2_approx(top[r] - most);  // key 0 is seen by all: most > −∞
#pragma unroll
      for (int c = 0; c < 16; c++) {
        float& x = s[c / 2 * 4 + r * 2 + c % 2];
        sum += x = exp2_approx(x - most);
        sums[c / 2 * 4 + r * 2 + c % 2] *= shrink;
      }
      top[r] = most, total[r] = fmaf(total[r], shrink, sum);
    }
    uint32_t p[kRows / 16][4];
#pragma unroll
    for (int i = 0; i < kRows / 4; i++) p[i / 4][i % 4] = pack<bf16>(s[2 * i], s[2 * i + 1]);
    mbarrier_wait(arrived + 2, parity);
    wgmma_fence();
    uint64_t values = wgmma_descriptor_transposed(tiles + 2 * kTile, kTile);
#pragma unroll
    for (int i = 0; i < 4; i++) wgmma_m64k16<kDim, bf16, true>(sums, p[i], wgmma_advance(values, i * 2048));
    wgmma_commit();
    wgmma_wait<0>();
    __syncthreads();  // the values have been read by all
    if (first + kRows < end) bring(2, &v, first + kRows);
  }
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
