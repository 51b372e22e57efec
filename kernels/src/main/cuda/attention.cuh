// attention.cuh: what the kernels of scaled dot-product attention share: which keys a query sees, tiles of rows in
// shared memory, and the two products of tiles that all of attention is made of,
//
//   product     s[rows, cols]  = a[rows, D] · b[cols, D]ᵀ
//   accumulate  x[rows, D]    += p[rows, cols] · b[cols, D]
//
// once on tensor cores for half types, once by FMA for fp32. A block of 4 warps keeps rows (queries, or keys for their
// gradients), its warps each a part of them; columns (keys, or queries) stream through shared memory in tiles. Scores
// and probabilities stay in registers: what a thread has of s after one product is what the other one wants of p.
#pragma once
#include "common.cuh"

constexpr float kLog2E = 1.44269504088896341f, kLn2 = 0.693147180559945309f;
constexpr int kWarps = 4, kThreads = 32 * kWarps;
// Blocks on a multiprocessor that the compiler is to aim at: not asked, it would rather spill a little and have three.
constexpr int kBlocks = 2;
// Dynamic shared memory of a block on 8.6 and 8.9, less what `limits_of_rows` and `block_max` declare, in whole KB.
constexpr int kMostShared = 98 * 1024;

// Operands ----------------------------------------------------------------------------------------
// Rows of D elements [B, T, H, D], anywhere; elements from one to the next.
template <class T>
struct Heads {
  T* data;
  int64_t batch, time, head;
  __device__ __forceinline__ T* of(int b, int h) const { return data + b * batch + h * head; }
};
#define HEADS(T, name) T *name, int64_t name##_batch, int64_t name##_time, int64_t name##_head
#define AS_HEADS(T, name) \
  Heads<T> { name, name##_batch, name##_time, name##_head }

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
struct Rule {
  int queries, keys, heads, group, dim;
  float scale, soft_cap;
  int causal, window;
  const int* lengths;   // [B]
  const int* shown;     // [B, Tk]
  const int* starts;    // [B, Tq]
  const float* slopes;  // [H]
  int length;           // keys that exist, of the batch row opened

  __device__ __forceinline__ void open(int batch) {
    length = lengths == nullptr ? keys : max(0, min(keys, lengths[batch]));
    if (shown != nullptr) shown += int64_t{batch} * keys;
    if (starts != nullptr) starts += int64_t{batch} * queries;
  }
  __device__ __forceinline__ int position(int query) const { return keys - queries + query; }
  // Without documents: neither limit goes back from one query to the next.
  __device__ __forceinline__ Limits band(int query) const {
    int p = position(query);
    return {window > 0 ? max(0, p - window + 1) : 0, causal ? min(p + 1, length) : length};
  }
  __device__ __forceinline__ Limits limits(int query) const {
    Limits l = band(query);
    if (starts != nullptr) l.first = max(l.first, starts[min(query, queries - 1)]);
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
        low = min(low, starts[i]);
        high = max(high, starts[i]);
      }
      r.first = max(r.first, __reduce_min_sync(0xffffffffu, low));
      r.all_first = max(r.all_first, __reduce_max_sync(0xffffffffu, high));
    }
    return r;
  }
};
#define RULE_PARAMETERS                                                                                              \
  int queries, int keys, int heads, int group, int dim, float scale, float soft_cap, int causal, int window,         \
      const int *lengths, const int *shown, const int *starts, const float *slopes
#define AS_RULE                                                                                                   \
  Rule {                                                                                                          \
    queries, keys, heads, group, dim, scale, soft_cap, causal, window, lengths, shown, starts, slopes, keys        \
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
__device__ __forceinline__ Limits queries_of(const Rule& rule, int from, int to) {
  int ahead = rule.position(0);
  Limits r{rule.causal ? max(0, from - ahead) : 0, from < rule.length ? rule.queries : 0};
  if (rule.window > 0 && rule.window < rule.keys) r.end = min(r.end, to - 1 + rule.window - ahead);
  if (rule.starts != nullptr) {
    int last = -1;
    for (int i = r.first + static_cast<int>(threadIdx.x); i < r.end; i += kThreads) {
      if (rule.starts[i] < to) last = i;
    }
    r.end = min(r.end, block_max(last) + 1);
  }
  return r;
}

// Tiles in shared memory --------------------------------------------------------------------------
// kRows rows of kDim elements, in chunks of 16 bytes. Half types: chunk c of row r lies at c ^ s(r), so that the 8
// successive rows of an ldmatrix lie in different banks, drawn in matmul.cuh. fp32: rows are a chunk longer instead.
template <class T, int kRows_, int kDim_>
struct Tile {
  static constexpr int kRows = kRows_, kDim = kDim_;
  static constexpr int kChunk = kVecLength<T>, kChunks = kDim / kChunk;
  static constexpr bool kSwizzled = sizeof(T) == 2;
  static constexpr int kStride = kSwizzled ? kDim : kDim + kChunk;
  static constexpr int kElements = kRows * kStride;
  static_assert(kChunks % 4 == 0 && kRows * kChunks % kThreads == 0);

  // In elements, of the beginning of a chunk.
  __device__ __forceinline__ static int at(int row, int chunk) {
    int s = !kSwizzled ? 0 : kChunks % 8 == 0 ? row % 8 : row / 2 % 4;
    return row * kStride + (chunk ^ s) * kChunk;
  }
};

// Whether rows begin at 16-byte boundaries and end with a chunk.
template <class T>
__device__ __forceinline__ bool in_chunks(const T* rows, int64_t stride, int dim) {
  return is_aligned(rows, 16) && stride % kVecLength<T> == 0 && dim % kVecLength<T> == 0;
}

// Begins to fill a tile; rows from `rows` on and columns from `dim` on are zeros.
template <class Shape, class T>
__device__ __forceinline__ void load_tile(T* tile, const T* from, int64_t stride, int rows, int dim) {
  constexpr int kEach = Shape::kRows * Shape::kChunks / kThreads;
  int thread = static_cast<int>(threadIdx.x);
  if (in_chunks(from, stride, dim)) {
#pragma unroll 1  // addresses of several chunks at once are registers that the sums need
    for (int i = 0; i < kEach; i++) {
      int n = thread + i * kThreads, row = n / Shape::kChunks, chunk = n % Shape::kChunks;
      bool there = row < rows && chunk * Shape::kChunk < dim;
      cp_async<16>(tile + Shape::at(row, chunk), from + row * stride + chunk * Shape::kChunk, there ? 16 : 0);
    }
  } else {
#pragma unroll 1
    for (int i = 0; i < kEach; i++) {
      int n = thread + i * kThreads, row = n / Shape::kChunks, chunk = n % Shape::kChunks;
      Vec16<T> v;
#pragma unroll
      for (int e = 0; e < Shape::kChunk; e++) {
        int col = chunk * Shape::kChunk + e;
        v[e] = row < rows && col < dim ? from[row * stride + col] : from_float<T>(0.0f);
      }
      store_vec(tile + Shape::at(row, chunk), v);
    }
  }
}

// Tensor cores ------------------------------------------------------------------------------------
// 16x16 patches of a tile for ldmatrix, one at any multiple of 16: `at` of a lane's row, of which the steps to other
// patches are added or, inside of 8 chunks, flipped in: one instruction, and no register that would live on.
template <class Shape>
struct Patches {
  int base;
  __device__ __forceinline__ Patches(int row, int chunk_half) : base(Shape::at(row, chunk_half)) {}
  // rows: a multiple of 16; chunk: an even number.
  __device__ __forceinline__ int at(int rows, int chunk) const {
    constexpr int kGroup = Shape::kChunks % 8 == 0 ? 8 : 4;  // chunks that the swizzle permutes
    return (base ^ chunk % kGroup * Shape::kChunk) + rows * Shape::kStride + chunk / kGroup * kGroup * Shape::kChunk;
  }
};

// x[r][c] … as the accumulators of m16n8 blocks: a lane has rows g and g+8 and columns 2t and 2t+1 of each, g = lane/4,
// t = lane%4. Two blocks side by side are, packed, the first operand of a product with 16 columns:
//
//        0 1 | 2 3 | 4 5 | 6 7     8 9 | …                  k 0 … 7   8 … 15
//   g    t=0   t=1   t=2   t=3     t=0                  g      a0        a2
//   g+8  t=0 …                     t=0              g+8        a1        a3
template <class T, int kDim_, int kMs, int kCols_>
struct TensorCores {
  using Element = T;
  static constexpr int kDim = kDim_, kCols = kCols_;
  static constexpr int kWarpRows = 16 * kMs, kRows = kWarps * kWarpRows;
  static constexpr int kMyRows = 2 * kMs, kMyCols = kCols / 4, kMyDims = kDim / 4;
  static constexpr int kRowPasses = 2;  // of results through shared memory, in which fp32 is twice as long
  using RowTile = Tile<T, kRows, kDim>;
  using ColTile = Tile<T, kCols, kDim>;
  static_assert(kCols % 16 == 0 && kDim % 16 == 0);

  // In the block's rows, in a tile's columns, in a row's elements.
  __device__ __forceinline__ static int row(int r) { return warp_index() * kWarpRows + r / 2 * 16 + r % 2 * 8 + lane_index() / 4; }
  __device__ __forceinline__ static int col(int c) { return c / 2 * 8 + lane_index() % 4 * 2 + c % 2; }
  __device__ __forceinline__ static int element(int d) { return col(d); }
  __device__ __forceinline__ static bool leads_row() { return lane_index() % 4 == 0; }
  // Over the lanes that share rows.
  __device__ __forceinline__ static float row_max(float v) {
    v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 1));
    return fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 2));
  }
  __device__ __forceinline__ static float row_sum(float v) {
    v += __shfl_xor_sync(0xffffffffu, v, 1);
    return v + __shfl_xor_sync(0xffffffffu, v, 2);
  }

  // Adds a · b for one patch of a and 8 columns of b; x as accumulators of block (i, j).
  template <int kR, int kC>
  __device__ __forceinline__ static void mma(float (&x)[kR][kC], int i, int j, const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    float d[4] = {x[2 * i][2 * j], x[2 * i][2 * j + 1], x[2 * i + 1][2 * j], x[2 * i + 1][2 * j + 1]};
    uint32_t b[2] = {b0, b1};
    mma_m16n8k16<T>(d, a, b);
    x[2 * i][2 * j] = d[0], x[2 * i][2 * j + 1] = d[1], x[2 * i + 1][2 * j] = d[2], x[2 * i + 1][2 * j + 1] = d[3];
  }

  __device__ __forceinline__ static void product(float (&s)[kMyRows][kMyCols], const T* a, const T* b) {
    int lane = lane_index();
    Patches<RowTile> of_a(warp_index() * kWarpRows + lane % 16, lane / 16);
    Patches<ColTile> of_b(lane / 16 * 8 + lane % 8, lane / 8 % 2);
#pragma unroll
    for (int r = 0; r < kMyRows; r++) {
#pragma unroll
      for (int c = 0; c < kMyCols; c++) s[r][c] = 0.0f;
    }
#pragma unroll
    for (int k = 0; k < kDim; k += 16) {
      uint32_t in_a[kMs][4];
#pragma unroll
      for (int i = 0; i < kMs; i++) ldmatrix_x4(in_a[i], a + of_a.at(16 * i, k / 8));
#pragma unroll
      for (int j = 0; j < kCols / 8; j += 2) {
        uint32_t in_b[4];
        ldmatrix_x4(in_b, b + of_b.at(8 * j, k / 8));
#pragma unroll
        for (int i = 0; i < kMs; i++) {
          mma(s, i, j, in_a[i], in_b[0], in_b[1]);
          mma(s, i, j + 1, in_a[i], in_b[2], in_b[3]);
        }
      }
    }
  }

  __device__ __forceinline__ static void accumulate(float (&x)[kMyRows][kMyDims], const float (&p)[kMyRows][kMyCols], const T* b, float*) {
    int lane = lane_index();
    Patches<ColTile> of_b(lane % 16, lane / 16);
#pragma unroll
    for (int k = 0; k < kCols; k += 16) {
      uint32_t in_a[kMs][4];
#pragma unroll
      for (int i = 0; i < kMs; i++) {
#pragma unroll
        for (int e = 0; e < 4; e++) {
          int r = 2 * i + e % 2, c = k / 4 + e / 2 * 2;
          in_a[i][e] = pack<T>(p[r][c], p[r][c + 1]);
        }
      }
#pragma unroll
      for (int j = 0; j < kDim / 8; j += 2) {
        uint32_t in_b[4];
        ldmatrix_x4_trans(in_b, b + of_b.at(k, j));
#pragma unroll
        for (int i = 0; i < kMs; i++) {
          mma(x, i, j, in_a[i], in_b[0], in_b[1]);
          mma(x, i, j + 1, in_a[i], in_b[2], in_b[3]);
        }
      }
    }
  }

  static constexpr int kExchange = 0;  // floats of shared memory beside the tiles
};

// fp32 --------------------------------------------------------------------------------------------
// A warp is 4x8 threads: a thread has every 4th of the warp's rows and every 8th column, and 4 neighbours in each 32
// elements of a row. Probabilities go to the other threads of the row through shared memory, which only the warp uses.
template <int kDim_, int kThreadRows, int kThreadCols>
struct Simt {
  using Element = float;
  static constexpr int kDim = kDim_, kCols = 8 * kThreadCols;
  static constexpr int kWarpRows = 4 * kThreadRows, kRows = kWarps * kWarpRows;
  static constexpr int kMyRows = kThreadRows, kMyCols = kThreadCols, kMyDims = kDim / 8;
  static constexpr int kRowPasses = 1;
  using RowTile = Tile<float, kRows, kDim>;
  using ColTile = Tile<float, kCols, kDim>;
  static constexpr int kExchangeStride = kCols + 4, kExchange = kRows * kExchangeStride;
  static_assert(kDim % 32 == 0);

  __device__ __forceinline__ static int row(int r) { return warp_index() * kWarpRows + lane_index() / 8 + 4 * r; }
  __device__ __forceinline__ static int col(int c) { return lane_index() % 8 + 8 * c; }
  __device__ __forceinline__ static int element(int d) { return d / 4 * 32 + lane_index() % 8 * 4 + d % 4; }
  __device__ __forceinline__ static bool leads_row() { return lane_index() % 8 == 0; }
  __device__ __forceinline__ static float row_max(float v) {
#pragma unroll
    for (int step = 1; step < 8; step *= 2) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, step));
    return v;
  }
  __device__ __forceinline__ static float row_sum(float v) {
#pragma unroll
    for (int step = 1; step < 8; step *= 2) v += __shfl_xor_sync(0xffffffffu, v, step);
    return v;
  }

  __device__ __forceinline__ static void product(float (&s)[kMyRows][kMyCols], const float* a, const float* b) {
#pragma unroll
    for (int r = 0; r < kMyRows; r++) {
#pragma unroll
      for (int c = 0; c < kMyCols; c++) s[r][c] = 0.0f;
    }
#pragma unroll 2
    for (int chunk = 0; chunk < RowTile::kChunks; chunk++) {
      Vec<float, 4> in_a[kMyRows], in_b[kMyCols];
#pragma unroll
      for (int r = 0; r < kMyRows; r++) in_a[r] = load_vec<4>(a + RowTile::at(row(r), chunk));
#pragma unroll
      for (int c = 0; c < kMyCols; c++) in_b[c] = load_vec<4>(b + ColTile::at(col(c), chunk));
#pragma unroll
      for (int e = 0; e < 4; e++) {
#pragma unroll
        for (int r = 0; r < kMyRows; r++) {
#pragma unroll
          for (int c = 0; c < kMyCols; c++) s[r][c] = fmaf(in_a[r][e], in_b[c][e], s[r][c]);
        }
      }
    }
  }

  __device__ __forceinline__ static void accumulate(float (&x)[kMyRows][kMyDims], const float (&p)[kMyRows][kMyCols], const float* b, float* exchange) {
    __syncwarp();  // what lay there has been read
#pragma unroll
    for (int r = 0; r < kMyRows; r++) {
#pragma unroll
      for (int c = 0; c < kMyCols; c++) exchange[row(r) * kExchangeStride + col(c)] = p[r][c];
    }
    __syncwarp();
#pragma unroll 1
    for (int k = 0; k < kCols; k += 4) {
      Vec<float, 4> in_p[kMyRows];
#pragma unroll
      for (int r = 0; r < kMyRows; r++) in_p[r] = load_vec<4>(exchange + row(r) * kExchangeStride + k);
#pragma unroll
      for (int e = 0; e < 4; e++) {
#pragma unroll
        for (int d = 0; d < kMyDims; d += 4) {
          auto in_b = load_vec<4>(b + ColTile::at(k + e, element(d) / 4));
#pragma unroll
          for (int i = 0; i < 4; i++) {
#pragma unroll
            for (int r = 0; r < kMyRows; r++) x[r][d + i] = fmaf(in_p[r][e], in_b[i], x[r][d + i]);
          }
        }
      }
    }
  }
};

// Scores ------------------------------------------------------------------------------------------
// What a product leaves is a score, but for this factor, to the base 2; or, where it takes more than that, `transform`
// makes it one, and the factor is 1.
struct Scoring {
  bool transforms;
  float factor;
  __device__ __forceinline__ explicit Scoring(const Rule& rule)
      // A scale that is not positive: the largest product would not be the largest score.
      : transforms(rule.soft_cap != 0.0f || rule.slopes != nullptr || !(rule.scale > 0.0f)), factor(transforms ? 1.0f : rule.scale * kLog2E) {}
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
__device__ __forceinline__ void transform(float (&s)[M::kMyRows][M::kMyCols], const Rule& rule, int head, int row, int col, Learn learn) {
  float cap = rule.soft_cap, inside = cap == 0.0f ? rule.scale : rule.scale / cap;
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
  float slope = rule.slopes == nullptr ? 0.0f : rule.slopes[head];
#pragma unroll
  for (int r = 0; r < M::kMyRows; r++) {
#pragma unroll
    for (int c = 0; c < M::kMyCols; c++) {
      int i = row + M::row(r), j = col + M::col(c);
      int distance = kOfKeys ? i - rule.position(j) : j - rule.position(i);
      s[r][c] = kLog2E * fmaf(slope, static_cast<float>(distance), s[r][c]);
    }
  }
}

// Limits of the queries that are a block's rows, once for all tiles, in shared memory: computed in the loop, the compiler
// would keep eight registers of addresses for it. For a whole warp, which alone will read them.
template <class M>
__device__ __forceinline__ const Limits* limits_of_rows(const Rule& rule, int row) {
  __shared__ Limits limits[M::kRows];
  int first = warp_index() * M::kWarpRows;
  if (lane_index() < M::kWarpRows) limits[first + lane_index()] = rule.limits(row + first + lane_index());
  __syncwarp();
  return limits;
}

// Scores of keys that a query does not see become −∞. `of_rows`: limits of queries that are rows.
template <class M, bool kOfKeys>
__device__ __forceinline__ void hide(float (&s)[M::kMyRows][M::kMyCols], const Rule& rule, const Limits* of_rows, int row, int col) {
  constexpr int kQueries = kOfKeys ? M::kMyCols : M::kMyRows, kKeys = kOfKeys ? M::kMyRows : M::kMyCols;
#pragma unroll
  for (int i = 0; i < kQueries; i++) {
    Limits l = kOfKeys ? rule.limits(col + M::col(i)) : of_rows[M::row(i)];
#pragma unroll
    for (int j = 0; j < kKeys; j++) {
      int key = kOfKeys ? row + M::row(j) : col + M::col(j);
      float& x = kOfKeys ? s[j][i] : s[i][j];
      if (key < l.first || key >= l.end) x = -INFINITY;
    }
  }
  if (rule.shown != nullptr) {
#pragma unroll
    for (int j = 0; j < kKeys; j++) {
      int key = kOfKeys ? row + M::row(j) : col + M::col(j);
      if (key < rule.keys && rule.shown[key] == 0) {
#pragma unroll
        for (int i = 0; i < kQueries; i++) (kOfKeys ? s[j][i] : s[i][j]) = -INFINITY;
      }
    }
  }
}

// Results -----------------------------------------------------------------------------------------
// Writes a warp's rows, or adds them, to `to`, the block's first row, of which `rows` exist. They go through `tile`,
// shared memory of the size of a RowTile of which the warp uses its rows only, in fp32; a lane has pairs (or fours)
// scattered over rows, memory wants 16 bytes after 16 bytes. Floats lie at col ^ 4·(row % 8), against conflicts.
template <class M, class T, class Out>
__device__ __forceinline__ void store_rows(T* tile, const float (&x)[M::kMyRows][M::kMyDims], Out* to, int64_t stride, int rows, int dim, bool add) {
  using Shape = typename M::RowTile;
  constexpr int kChunk = kVecLength<Out>, kChunks = M::kDim / kChunk, kPassRows = M::kWarpRows / M::kRowPasses, kWarp = 32;
  int first = warp_index() * M::kWarpRows;
  float* staged = reinterpret_cast<float*>(tile + first * Shape::kStride);
  bool chunks = in_chunks(to, stride, dim);
#pragma unroll
  for (int pass = 0; pass < M::kRowPasses; pass++) {
    __syncwarp();
#pragma unroll
    for (int r = pass; r < M::kMyRows; r += M::kRowPasses) {
      // In a pass a lane of tensor cores has 8 of every 16 rows.
      int at = M::kRowPasses == 1 ? M::row(r) - first : r / 2 * 8 + lane_index() / 4;
#pragma unroll
      for (int d = 0; d < M::kMyDims; d += 2) {
        store_vec<2>(staged + at * M::kDim + (M::element(d) ^ (at % 8 * 4)), Vec<float, 2>{{x[r][d], x[r][d + 1]}});
      }
    }
    __syncwarp();
#pragma unroll 1
    for (int i = lane_index(); i < kPassRows * kChunks; i += kWarp) {
      int at = i / kChunks, col = i % kChunks * kChunk;
      int row = first + (M::kRowPasses == 1 ? at : at / 8 * 16 + pass * 8 + at % 8);
      if (row >= rows || col >= dim) continue;
      Out* target = to + row * stride + col;  // strides are 64-bit
      float v[kChunk];
#pragma unroll
      for (int e = 0; e < kChunk; e += 4) {
        auto four = load_vec<4>(staged + at * M::kDim + ((col + e) ^ (at % 8 * 4)));
#pragma unroll
        for (int f = 0; f < 4; f++) v[e + f] = four[f];
      }
      if (chunks) {
        Vec16<Out> out;
        if (add) out = load_vec<kChunk>(target);
#pragma unroll
        for (int e = 0; e < kChunk; e++) out[e] = from_float<Out>(add ? to_float(out[e]) + v[e] : v[e]);
        store_vec(target, out);
      } else {
#pragma unroll
        for (int e = 0; e < kChunk; e++) {
          if (col + e < dim) target[e] = from_float<Out>(add ? to_float(target[e]) + v[e] : v[e]);
        }
      }
    }
  }
}
