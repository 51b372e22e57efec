// attention_forward.cu — o = softmax(cap(scale·q·kᵀ) + slopes, masked) · v,  lse = ln Σ exp      docs/kernels/attention.md
//   Dao 2023, FlashAttention-2, arXiv:2307.08691; online softmax: Milakov & Gimelshein 2018, arXiv:1805.02867
//   with m the largest score so far:  m' = max(m, max_j s_j)   p_j = 2^(s_j − m')   l' = l·2^(m − m') + Σ_j p_j
//                                     o' = o·2^(m − m') + Σ_j p_j·v_j,   in the end o/l and lse = m·ln 2 + ln l
// Tiling: a block has 128 queries of a head (64 for D > 128; fp32: 64 or 32), a warp a quarter of them; keys and values
//   come by in tiles of 64 or 32 (fp32: 32 or 16), keys of the next tile while this one's values are multiplied, and the
//   other way round. Scores and p stay in registers. Tiles that no query sees are never read; only tiles that some query
//   sees in part are masked. D is rounded up to an instance, with zeros that exist in shared memory only.
//   Where queries are few (decoding), y of the grid cuts a block's keys into parts; each leaves its o in fp32 and its
//   lse, and `combine` adds them up in their order: o = Σ_p o_p·e^(lse_p − lse), lse = ln Σ_p e^lse_p.
// Traffic (s = bytes per element): q, o once, 2·B·H·Tq·D·s; k and v once per tile of queries, from the L2 cache;
//   lse 4·B·H·Tq.  FLOPs: 4·B·H·Tq·Tk·D, half of that for a causal mask: compute bound from a few hundred keys.
// Measured: not yet.
#include "attention_dropout.cuh"
#include "attention_mask.cuh"
#include "attention_product.cuh"

// 2^((s − base)·factor). In fp32 exactly 1 for s = base, so that a query that sees one key has its value, to the bit;
// in half types, where that is below their precision, one instruction less.
template <class T>
__device__ __forceinline__ float power(float s, float base, float factor) {
  return exp2_approx(sizeof(T) == 4 ? (s - base) * factor : fmaf(s, factor, -base * factor));
}

// `partial`: null, or where the results of each part of the keys go, [part, B, H, Tq, D], and then their lse.
template <class M, class D, class T = typename M::Element>
__device__ __forceinline__ void attention_forward(Heads<T> o, float* lse, float* partial, Heads<const T> q, Heads<const T> k, Heads<const T> v, Mask mask, D dropout) {
  using Rows = typename M::RowTile;
  using Cols = typename M::ColTile;
  static_assert((Rows::kElements + 2 * Cols::kElements) * sizeof(T) + M::kExchange * 4 <= kMostShared);
  DYNAMIC_SHARED(T, queries);
  T* keys = queries + Rows::kElements;
  T* values = keys + Cols::kElements;
  float* exchange = reinterpret_cast<float*>(values + Cols::kElements);

  // The longest rows of a causal mask first: short ones fill the gaps at the end.
  int tiles = (mask.queries + M::kRows - 1) / M::kRows, block = static_cast<int>(blockIdx.x);
  int row = (tiles - 1 - block % tiles) * M::kRows, head = block / tiles % mask.heads, batch = block / tiles / mask.heads;
  mask.open(batch);
  dropout.open(batch, head);
  Scoring score(mask);
  int my_row = row + warp_index() * M::kWarpRows;
  Reach all = mask.reach(row, min(row + M::kRows, mask.queries));
  Reach mine = mask.reach(my_row, min(my_row + M::kWarpRows, mask.queries));
  const Limits* limits = limits_of_rows<M>(mask, row);

  int begin = all.first / M::kCols * M::kCols, end = all.end;
  if (partial != nullptr) {
    int parts = static_cast<int>(gridDim.y), tiles_of_part = (max(0, end - begin + M::kCols - 1) / M::kCols + parts - 1) / parts;
    begin += static_cast<int>(blockIdx.y) * tiles_of_part * M::kCols;
    end = min(end, begin + tiles_of_part * M::kCols);
  }
  load_tile<Rows>(queries, q.of(batch, head) + row * q.time, q.time, mask.queries - row, mask.dim);
  const T* key_share = Share<Cols>::of(k.of(batch, head / mask.group) + begin * k.time, k.time);
  const T* value_share = Share<Cols>::of(v.of(batch, head / mask.group) + begin * v.time, v.time);
  if (begin < end) load_share<Cols>(keys, key_share, k.time, end - begin, mask.dim);
  cp_async_commit();

  float sums[M::kMyRows][M::kMyDims] = {}, top[M::kMyRows], total[M::kMyRows];
#pragma unroll
  for (int r = 0; r < M::kMyRows; r++) top[r] = -INFINITY, total[r] = 0.0f;
#pragma unroll 1
  for (int col = begin; col < end; col += M::kCols) {
    float s[M::kMyRows][M::kMyCols];
    bool seen = !mine.misses(col, col + M::kCols);
    cp_async_wait<0>();
    __syncthreads();  // the keys are there for all; the values before have been read by all
    load_share<Cols>(values, value_share, v.time, end - col, mask.dim);
    value_share += M::kCols * v.time;
    cp_async_commit();
    if (seen) M::product(s, queries, keys);
    cp_async_wait<0>();
    __syncthreads();  // the values are there; the keys have been read
    key_share += M::kCols * k.time;
    if (int next = col + M::kCols; next < end) load_share<Cols>(keys, key_share, k.time, end - next, mask.dim);
    cp_async_commit();
    if (!seen) continue;

    if (score.transforms) transform<M, false>(s, mask, head, row, col, [](int, int, float) {});
    if (!mine.covers(col, col + M::kCols)) hide<M, false>(s, mask, limits, row, col);
#pragma unroll
    for (int r = 0; r < M::kMyRows; r++) {
      float most = top[r];
#pragma unroll
      for (int c = 0; c < M::kMyCols; c++) most = fmaxf(most, s[r][c]);
      most = M::row_max(most);
      float base = most == -INFINITY ? 0.0f : most;  // a query that has seen nothing: 2^(−∞ − 0) = 0
      float shrink = power<T>(top[r], base, score.factor), sum = 0.0f;
      top[r] = most;
#pragma unroll
      for (int c = 0; c < M::kMyCols; c++) {
        s[r][c] = power<T>(s[r][c], base, score.factor);
        sum += s[r][c];
      }
      total[r] = fmaf(total[r], shrink, sum);
#pragma unroll
      for (int d = 0; d < M::kMyDims; d++) sums[r][d] *= shrink;
    }
    if constexpr (D::kOn) {
      draw<M, false>(dropout, row, col, [&](int r, int c, bool stays) { s[r][c] = stays ? s[r][c] : 0.0f; });
    }
    M::accumulate(sums, s, values, exchange);
  }

  int64_t first = (int64_t{batch} * mask.heads + head) * mask.queries;
  if (partial != nullptr) {
    int64_t results = int64_t{gridDim.x} / tiles * mask.queries;  // of a part
    first += blockIdx.y * results;
    lse = partial + gridDim.y * results * mask.dim;
  }
#pragma unroll
  for (int r = 0; r < M::kMyRows; r++) {
    float sum = M::row_sum(total[r]), inverse = sum > 0.0f ? (D::kOn ? dropout.kept : 1.0f) / sum : 0.0f;
    int query = row + M::row(r);
    if (M::leads_row() && query < mask.queries) lse[first + query] = sum > 0.0f ? kLn2 * fmaf(top[r], score.factor, log2f(sum)) : -INFINITY;
#pragma unroll
    for (int d = 0; d < M::kMyDims; d++) sums[r][d] *= inverse;
  }
  cp_async_wait<0>();
  __syncthreads();  // where no tile was seen, queries may still be on their way
  if (partial != nullptr) {
    store_rows<M>(queries, sums, partial + (first + row) * mask.dim, mask.dim, mask.queries - row, mask.dim, false);
  } else {
    store_rows<M>(queries, sums, o.of(batch, head) + row * o.time, o.time, mask.queries - row, mask.dim, false);
  }
}

// A warp has a query's row.
template <class T>
__device__ __forceinline__ void attention_combine(Heads<T> o, float* lse, const float* partial, int parts, int64_t results, int queries, int heads, int dim) {
  int64_t n = int64_t{blockIdx.x} * kWarps + warp_index();
  if (n >= results) return;
  const float* part_lse = partial + parts * results * dim + n;
  float most = -INFINITY, sum = 0.0f;
  for (int p = lane_index(); p < parts; p += 32) most = fmaxf(most, part_lse[p * results]);
  most = warp_max(most);
  bool sees = most > -INFINITY;
  auto weight = [&](int p) { return sees ? exp2_approx((part_lse[p * results] - most) * kLog2E) : 0.0f; };
  for (int p = lane_index(); p < parts; p += 32) sum += weight(p);
  sum = warp_sum(sum);
  if (lane_index() == 0) lse[n] = sees ? most + logf(sum) : -INFINITY;
  T* to = o.of(static_cast<int>(n / queries / heads), static_cast<int>(n / queries % heads)) + n % queries * o.time;
  for (int d = lane_index(); d < dim; d += 32) {
    float x = 0.0f;
    for (int p = 0; p < parts; p++) x = fmaf(weight(p), partial[(p * results + n) * dim + d], x);
    to[d] = from_float<T>(sees ? x / sum : 0.0f);
  }
}

#define COMBINE(T, suffix)                                                                                                    \
  KERNEL(attention_forward_combine_##suffix, (HEADS(T, o), float* lse, const float* partial, int parts, int64_t results, int queries, int heads, int dim), kThreads) { \
    attention_combine<T>(AS_HEADS(T, o), lse, partial, parts, results, queries, heads, dim);                                  \
  }
COMBINE(float, f32)
COMBINE(bf16, bf16)
COMBINE(f16, f16)

// For heads of up to d elements; tiles of rows and columns are part of the name by which AttentionCuda asks for a kernel.
#define FORWARD(d, rows, cols, T, suffix)                                                                                     \
  KERNEL(attention_forward_d##d##_##rows##x##cols##_##suffix, (HEADS(T, o), float* lse, float* partial, HEADS(const T, q), HEADS(const T, k), HEADS(const T, v), MASK_PARAMETERS), kThreads, kBlocks) { \
    attention_forward<Products<T, d, rows, cols>>(AS_HEADS(T, o), lse, partial, AS_HEADS(const T, q), AS_HEADS(const T, k), AS_HEADS(const T, v), AS_MASK, NoDropout{}); \
  }
#define DROPPED(d, rows, cols, T, suffix)                                                                                     \
  KERNEL(attention_forward_dropped_d##d##_##rows##x##cols##_##suffix, (HEADS(T, o), float* lse, float* partial, HEADS(const T, q), HEADS(const T, k), HEADS(const T, v), MASK_PARAMETERS, DROPOUT_PARAMETERS), kThreads, kBlocks) { \
    attention_forward<Products<T, d, rows, cols>>(AS_HEADS(T, o), lse, partial, AS_HEADS(const T, q), AS_HEADS(const T, k), AS_HEADS(const T, v), AS_MASK, AS_DROPOUT); \
  }
#define HALVES(KIND, d, rows, cols) \
  KIND(d, rows, cols, bf16, bf16)   \
  KIND(d, rows, cols, f16, f16)
HALVES(FORWARD, 32, 128, 64)
HALVES(FORWARD, 64, 128, 64)
HALVES(FORWARD, 96, 128, 32)
HALVES(FORWARD, 128, 128, 32)
HALVES(FORWARD, 192, 64, 64)
HALVES(FORWARD, 256, 64, 64)
FORWARD(64, 64, 32, float, f32)
FORWARD(128, 32, 32, float, f32)
FORWARD(256, 32, 16, float, f32)
HALVES(DROPPED, 32, 128, 64)
HALVES(DROPPED, 64, 128, 64)
HALVES(DROPPED, 96, 128, 32)
HALVES(DROPPED, 128, 64, 64)
HALVES(DROPPED, 192, 64, 64)
HALVES(DROPPED, 256, 64, 32)
DROPPED(64, 64, 32, float, f32)
DROPPED(128, 32, 32, float, f32)
DROPPED(256, 32, 16, float, f32)
