// attention_mask.cuh: which keys a query sees, and what makes a score of a product: scale, soft cap and slopes. Causal mask,
// window, lengths and documents give a query an interval of keys (`Limits`); those of a tile's queries say whether it is
// left out, taken whole, or compared key by key (`Reach`, `hide`).
#pragma once
#include "attention.cuh"

// Which keys are seen -----------------------------------------------------------------------------
struct Limits {
  int first, end;
};

// The keys that a run of queries sees: each of them all of [all_first, all_end), none of them one outside [first, end).
struct Reach {
  int first, end, all_first, all_end;
  __device__ __forceinline__ bool misses(int from, int to) const { return to <= first || from >= end; }
  __device__ __forceinline__ bool covers(int from, int to) const { return from >= all_first && to <= all_end; }
};

// Sizes and mask as the Java side has them; null: no such mask, soft_cap 0, window 0: none.
struct Mask {
  int queries, keys, heads, group, dim;
  float scale, soft_cap;
  int causal, window;
  const int* lengths;   // [B]
  const int* shown;     // [B, Tk]
  const int* starts;    // [B, Tq]
  const float* slopes;  // [H]
  int batch, length;    // the batch row opened, and its keys that exist

  __device__ __forceinline__ void open(int row) {
    batch = row;
    length = lengths == nullptr ? keys : max(0, min(keys, lengths[row]));
  }
  // Where there are such masks. Pointers for the batch row would live in registers through every loop.
  __device__ __forceinline__ bool shows(int key) const { return shown[int64_t{batch} * keys + key] != 0; }
  __device__ __forceinline__ int start(int query) const { return starts[int64_t{batch} * queries + query]; }
  __device__ __forceinline__ int position(int query) const { return keys - queries + query; }
  // Without documents: neither limit goes back from one query to the next.
  __device__ __forceinline__ Limits band(int query) const {
    int p = position(query);
    return {window > 0 ? max(0, p - window + 1) : 0, causal ? min(p + 1, length) : length};
  }
  __device__ __forceinline__ Limits limits(int query) const {
    Limits l = band(query);
    if (starts != nullptr) l.first = max(l.first, start(min(query, queries - 1)));
    return l;
  }
  // Of the queries [from, to); for a whole warp.
  __device__ __forceinline__ Reach reach(int from, int to) const {
    if (from >= to) return {keys, 0, keys, 0};
    Limits a = band(from), z = band(to - 1);
    Reach r{a.first, z.end, z.first, shown == nullptr ? a.end : 0};
    if (starts != nullptr) {
      int low = keys, high = 0;
      for (int i = from + lane_index(); i < to; i += 32) {
        low = min(low, start(i));
        high = max(high, start(i));
      }
      r.first = max(r.first, __reduce_min_sync(0xffffffffu, low));
      r.all_first = max(r.all_first, __reduce_max_sync(0xffffffffu, high));
    }
    return r;
  }
};
#define MASK_PARAMETERS                                                                                              \
  int queries, int keys, int heads, int group, int dim, float scale, float soft_cap, int causal, int window,         \
      const int *lengths, const int *shown, const int *starts, const float *slopes
#define AS_MASK                                                                                                   \
  Mask {                                                                                                          \
    queries, keys, heads, group, dim, scale, soft_cap, causal, window, lengths, shown, starts, slopes, 0, keys     \
  }

// The largest of the values that the block's threads have, and of -1.
__device__ __forceinline__ int block_max(int v) {
  __shared__ int partial[kWarps];
  v = __reduce_max_sync(0xffffffffu, v);
  if (lane_index() == 0) partial[warp_index()] = v;
  __syncthreads();
  int most = -1;
#pragma unroll
  for (int w = 0; w < kWarps; w++) most = max(most, partial[w]);
  return most;
}

// Outside of [first, end) no query sees any of the keys [from, to); for a whole block.
__device__ __forceinline__ Limits queries_of(const Mask& mask, int from, int to) {
  int ahead = mask.position(0);
  Limits r{mask.causal ? max(0, from - ahead) : 0, from < mask.length ? mask.queries : 0};
  if (mask.window > 0 && mask.window < mask.keys) r.end = min(r.end, to - 1 + mask.window - ahead);
  if (mask.starts != nullptr) {
    int last = -1;
    for (int i = r.first + static_cast<int>(threadIdx.x); i < r.end; i += kThreads) {
      if (mask.start(i) < to) last = i;
    }
    r.end = min(r.end, block_max(last) + 1);
  }
  return r;
}

// Limits of the queries that are a block's rows, once for all tiles, in shared memory: computed in the loop, the compiler
// would keep eight registers of addresses for it. For a whole warp, which alone will read them.
template <class M>
__device__ __forceinline__ const Limits* limits_of_rows(const Mask& mask, int row) {
  __shared__ Limits limits[M::kRows];
  int first = warp_index() * M::kWarpRows;
  if (lane_index() < M::kWarpRows) limits[first + lane_index()] = mask.limits(row + first + lane_index());
  __syncwarp();
  return limits;
}

// Scores of keys that a query does not see become −∞. `of_rows`: limits of queries that are rows.
template <class M, bool kOfKeys>
__device__ __forceinline__ void hide(float (&s)[M::kMyRows][M::kMyCols], const Mask& mask, const Limits* of_rows, int row, int col) {
  constexpr int kQueries = kOfKeys ? M::kMyCols : M::kMyRows, kKeys = kOfKeys ? M::kMyRows : M::kMyCols;
#pragma unroll
  for (int i = 0; i < kQueries; i++) {
    Limits l = kOfKeys ? mask.limits(col + M::col(i)) : of_rows[M::row(i)];
#pragma unroll
    for (int j = 0; j < kKeys; j++) {
      int key = kOfKeys ? row + M::row(j) : col + M::col(j);
      float& x = kOfKeys ? s[j][i] : s[i][j];
      if (key < l.first || key >= l.end) x = -INFINITY;
    }
  }
  if (mask.shown != nullptr) {
#pragma unroll
    for (int j = 0; j < kKeys; j++) {
      int key = kOfKeys ? row + M::row(j) : col + M::col(j);
      if (key < mask.keys && !mask.shows(key)) {
#pragma unroll
        for (int i = 0; i < kQueries; i++) (kOfKeys ? s[j][i] : s[i][j]) = -INFINITY;
      }
    }
  }
}

// Scores ------------------------------------------------------------------------------------------
// What a product leaves is a score, but for this factor, to the base 2; or, where it takes more than that, `transform`
// makes it one, and the factor is 1.
struct Scoring {
  bool transforms;
  float factor;
  __device__ __forceinline__ explicit Scoring(const Mask& mask)
      // A scale that is not positive: the largest product would not be the largest score.
      : transforms(mask.soft_cap != 0.0f || mask.slopes != nullptr || !(mask.scale > 0.0f)), factor(transforms ? 1.0f : mask.scale * kLog2E) {}
};

// To the accuracy of fp32, or of what a half type holds: absolute error 2e-7.
template <class T>
__device__ __forceinline__ float cap_tanh(float x) {
  if constexpr (sizeof(T) == 4) {
    return tanhf(x);
  } else {
    return 1.0f - __fdividef(2.0f, 1.0f + exp2_approx(2.0f * kLog2E * x));
  }
}

// s becomes log2(e) · (cap(scale · s) + slope · (key − position)) of a head; `learn(r, c, t)` is told each tanh. kOfKeys:
// rows are keys and columns queries, otherwise the other way round. It reads its numbers anew for each tile rather than
// keep them in registers.
template <class M, bool kOfKeys, class Learn>
__device__ __forceinline__ void transform(float (&s)[M::kMyRows][M::kMyCols], const Mask& mask, int head, int row, int col, Learn learn) {
  float cap = mask.soft_cap, inside = cap == 0.0f ? mask.scale : mask.scale / cap;
#pragma unroll
  for (int r = 0; r < M::kMyRows; r++) {
#pragma unroll
    for (int c = 0; c < M::kMyCols; c++) s[r][c] *= inside;
  }
  if (cap != 0.0f) {
#pragma unroll
    for (int r = 0; r < M::kMyRows; r++) {
#pragma unroll
      for (int c = 0; c < M::kMyCols; c++) {
        float t = cap_tanh<typename M::Element>(s[r][c]);
        s[r][c] = cap * t;
        learn(r, c, t);
      }
    }
  }
  float slope = mask.slopes == nullptr ? 0.0f : mask.slopes[head];
#pragma unroll
  for (int r = 0; r < M::kMyRows; r++) {
#pragma unroll
    for (int c = 0; c < M::kMyCols; c++) {
      int i = row + M::row(r), j = col + M::col(c);
      int distance = kOfKeys ? i - mask.position(j) : j - mask.position(i);
      s[r][c] = kLog2E * fmaf(slope, static_cast<float>(distance), s[r][c]);
    }
  }
}
