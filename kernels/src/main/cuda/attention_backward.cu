// attention_backward.cu — the gradients of attention_forward.cu from o and lse                    docs/kernels/attention.md
//   p = exp(s − lse)   dp = dy·vᵀ   delta_i = Σ_d dy·o   ds = p · (dp − delta) · (1 − tanh²)  (the last only for a cap)
//   dq_i = scale · Σ_j ds_ij·k_j       dk_j = scale · Σ_i ds_ij·q_i       dv_j = Σ_i p_ij·dy_i
// Tiling: three kernels, none of which adds to memory that another block writes, so no atomics and one order of sums:
//   delta    8 lanes a row (fp32: a thread): delta and lse·log2 e of each query, as pairs
//   queries  a block keeps 64 or 128 queries and their dy, keys and values stream by: dq
//   keys     a block keeps 64 or 128 keys and values, queries and dy stream by, for the query heads of the group one
//            after another: dk and dv; for D > 128 two kernels, since both sums do not fit the registers: keys, values
//   The two are one function: rows stay, columns stream in two stages. Rows of keys have the scores transposed, so that
//   p and ds are in either case, straight from registers, the first operand of the product with the columns.
// Traffic (s = bytes per element): rows once, columns once per tile of rows, from the L2 cache; delta reads dy and o.
//   FLOPs: 14·B·H·Tq·Tk·D (16 for D > 128), half of that for a causal mask; 10 if dq were added up by atomics.
// Measured: not yet.
#include "attention_dropout.cuh"
#include "attention_mask.cuh"
#include "attention_product.cuh"

// fp32 sums delta in the order in which Simt::product sums dp, so that a query that sees one key, whose o is that key's
// v, has dp − delta = 0 exactly.
template <class T>
constexpr int kDeltaLanes = sizeof(T) == 4 ? 1 : 8;

// stats[b, h, i] = (lse·log2 e, delta), of `padded` queries; those beyond the last one, and those that see nothing:
// (+∞, 0), so that p = 2^(s − ∞) = 0.
template <class T>
__device__ __forceinline__ void attention_delta(float* stats, Heads<const T> dy, Heads<const T> o, const float* lse, int64_t rows, int queries, int padded, int heads, int dim) {
  constexpr int kChunk = kVecLength<T>, kLanes = kDeltaLanes<T>;
  int lane = static_cast<int>(threadIdx.x) % kLanes;
  int64_t n = int64_t{blockIdx.x} * (kThreads / kLanes) + threadIdx.x / kLanes;  // as rows lie in memory: [b, i, h]
  int head = static_cast<int>(n % heads), query = static_cast<int>(n / heads % padded), batch = static_cast<int>(n / heads / padded);
  float sum = 0.0f;
  if (n < rows && query < queries) {
    const T* a = dy.of(batch, head) + query * dy.time;
    const T* b = o.of(batch, head) + query * o.time;
    if (in_chunks(a, 0, dim) && in_chunks(b, 0, dim)) {
      for (int d = lane * kChunk; d < dim; d += kLanes * kChunk) {
        auto x = load_vec<kChunk>(a + d), y = load_vec<kChunk>(b + d);
#pragma unroll
        for (int e = 0; e < kChunk; e++) sum = fmaf(to_float(x[e]), to_float(y[e]), sum);
      }
    } else {
      for (int d = lane; d < dim; d += kLanes) sum = fmaf(to_float(a[d]), to_float(b[d]), sum);
    }
  }
#pragma unroll
  for (int step = 1; step < kLanes; step *= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
  if (lane == 0 && n < rows) {
    int64_t to = int64_t{batch} * heads + head;
    float l = query < queries ? lse[to * queries + query] : -INFINITY;
    store_vec<2>(stats + 2 * (to * padded + query), Vec<float, 2>{{l == -INFINITY ? INFINITY : l * kLog2E, sum}});
  }
}

// kOfKeys: rows are keys; `first` is dk and `second` dv. Otherwise rows are queries, `first` is dq. Either may be null.
template <class M, bool kOfKeys, bool kFirst, bool kSecond, class D, class T = typename M::Element>
__device__ __forceinline__ void attention_backward(Heads<T> first, int add_first, Heads<T> second, int add_second, Heads<const T> dy, Heads<const T> q,
                                                   Heads<const T> k, Heads<const T> v, const float* stats, int padded, Mask mask, D dropout) {
  using Rows = typename M::RowTile;
  using Cols = typename M::ColTile;
  constexpr int kStage = 2 * Cols::kElements;
  static_assert(((kFirst ? 2 : 1) * Rows::kElements + 2 * kStage) * sizeof(T) + (M::kExchange + 4 * M::kCols) * 4 <= kMostShared);
  DYNAMIC_SHARED(T, rows_a);  // queries, or keys
  T* rows_b = rows_a + Rows::kElements;  // dy, or values; without `first` nothing
  T* columns = rows_b + (kFirst ? Rows::kElements : 0);  // keys and values, or queries and dy, in two stages
  float* exchange = reinterpret_cast<float*>(columns + 2 * kStage);
  float* column_stats = exchange + M::kExchange;  // of queries that are columns, in two stages

  int count = kOfKeys ? mask.keys : mask.queries, row_heads = kOfKeys ? mask.heads / mask.group : mask.heads;
  int tiles = (count + M::kRows - 1) / M::kRows, block = static_cast<int>(blockIdx.x), tile = block % tiles;
  int row = (kOfKeys ? tile : tiles - 1 - tile) * M::kRows;  // those that see, or are seen, most come first
  int head = block / tiles % row_heads, batch = block / tiles / row_heads;
  mask.open(batch);
  if (!kOfKeys) dropout.open(batch, head);
  Scoring score(mask);
  int my_row = row + warp_index() * M::kWarpRows;
  int real_rows = (kOfKeys ? mask.length : mask.queries) - row, real_columns = kOfKeys ? mask.queries : mask.length;
  const Heads<const T> &a = kOfKeys ? k : q, &b = kOfKeys ? v : dy, &c = kOfKeys ? q : k, &d = kOfKeys ? dy : v;
  load_tile<Rows>(rows_a, a.of(batch, head) + row * a.time, a.time, real_rows, mask.dim);
  if (kFirst) load_tile<Rows>(rows_b, b.of(batch, head) + row * b.time, b.time, real_rows, mask.dim);

  // Steps: the column tiles in range, for each query head of the group.
  int begin, per_head;
  Reach mine{};
  const Limits* limits = nullptr;
  if (kOfKeys) {
    Limits range = queries_of(mask, row, min(row + M::kRows, mask.keys));
    begin = range.first / M::kCols * M::kCols;
    per_head = max(0, range.end - begin + M::kCols - 1) / M::kCols;
  } else {
    Reach all = mask.reach(row, min(row + M::kRows, mask.queries));
    mine = mask.reach(my_row, min(my_row + M::kWarpRows, mask.queries));
    limits = limits_of_rows<M>(mask, row);
    begin = all.first / M::kCols * M::kCols;
    per_head = max(0, all.end - begin + M::kCols - 1) / M::kCols;
  }
  int steps = kOfKeys ? per_head * mask.group : per_head;
  struct Place {
    int head, col;
  };
  Place next{kOfKeys ? head * mask.group : head / mask.group, begin};  // of the step that is loaded next
  auto load_step = [&](int stage) {
    T* to = columns + stage * kStage;
    load_tile<Cols>(to, c.of(batch, next.head) + next.col * c.time, c.time, real_columns - next.col, mask.dim);
    load_tile<Cols>(to + Cols::kElements, d.of(batch, next.head) + next.col * d.time, d.time, real_columns - next.col, mask.dim);
    if (kOfKeys && threadIdx.x < M::kCols) {
      int64_t from = (int64_t{batch} * mask.heads + next.head) * padded + next.col + threadIdx.x;
      cp_async<8>(column_stats + 2 * (stage * M::kCols + threadIdx.x), stats + 2 * from);
    }
  };
  if (steps > 0) load_step(0);
  cp_async_commit();

  // (lse·log2 e, delta) of queries that are rows.
  float row_lse[M::kMyRows], row_delta[M::kMyRows];
  if (!kOfKeys) {
#pragma unroll
    for (int r = 0; r < M::kMyRows; r++) {
      int query = row + M::row(r);
      bool there = query < mask.queries;
      int64_t at = 2 * ((int64_t{batch} * mask.heads + head) * padded + query);
      row_lse[r] = there ? stats[at] : INFINITY;
      row_delta[r] = there ? stats[at + 1] : 0.0f;
    }
  }

  float sums_a[kFirst ? M::kMyRows : 1][M::kMyDims] = {}, sums_b[kSecond ? M::kMyRows : 1][M::kMyDims] = {};
#pragma unroll 1
  for (int step = 0; step < steps; step++) {
    cp_async_wait<0>();
    __syncthreads();  // this step's columns are there for all; those of the last one have been read by all
    int of_head = kOfKeys ? next.head : head, col = next.col;
    next.col += M::kCols;
    if (kOfKeys && next.col >= begin + per_head * M::kCols) next = {of_head + 1, begin};
    if (step + 1 < steps) load_step((step + 1) % 2);
    cp_async_commit();
    if (kOfKeys) mine = mask.reach(col, min(col + M::kCols, mask.queries));
    int key = kOfKeys ? my_row : col, keys = kOfKeys ? M::kWarpRows : M::kCols;
    if (mine.misses(key, key + keys)) continue;

    const T* columns_c = columns + step % 2 * kStage;
    const T* columns_d = columns_c + Cols::kElements;
    const float* in_column = column_stats + step % 2 * 2 * M::kCols;
    auto lse_of = [&](int r, int c) { return kOfKeys ? in_column[2 * M::col(c)] : row_lse[r]; };
    auto delta_of = [&](int r, int c) { return kOfKeys ? in_column[2 * M::col(c) + 1] : row_delta[r]; };
    float s[M::kMyRows][M::kMyCols], dp[M::kMyRows][M::kMyCols];
    M::product(s, rows_a, columns_c);
    if constexpr (kFirst) M::product(dp, rows_b, columns_d);
    uint32_t dropped = 0;  // a bit for each element
    if constexpr (D::kOn) {
      static_assert(M::kMyRows * M::kMyCols <= 32);
      if (kOfKeys) dropout.open(batch, of_head);
      draw<M, kOfKeys>(dropout, row, col, [&](int r, int c, bool stays) {
        dropped |= (stays ? 0u : 1u) << (r * M::kMyCols + c);
        if constexpr (kFirst) dp[r][c] = stays ? dp[r][c] * dropout.kept : 0.0f;
      });
    }
    if (score.transforms) {
      transform<M, kOfKeys>(s, mask, of_head, row, col, [&](int r, int c, float t) {
        if constexpr (kFirst) {
          float delta = delta_of(r, c);
          dp[r][c] = fmaf(dp[r][c] - delta, 1.0f - t * t, delta);
        }
      });
    }
    if (!mine.covers(key, key + keys)) hide<M, kOfKeys>(s, mask, limits, row, col);
#pragma unroll
    for (int c = 0; c < M::kMyCols; c++) {
#pragma unroll
      for (int r = 0; r < M::kMyRows; r++) {
        s[r][c] = exp2_approx(fmaf(s[r][c], score.factor, -lse_of(r, c)));
        if constexpr (kFirst) dp[r][c] = s[r][c] * (dp[r][c] - delta_of(r, c));
      }
    }
    if constexpr (kSecond && D::kOn) {
#pragma unroll
      for (int r = 0; r < M::kMyRows; r++) {
#pragma unroll
        for (int c = 0; c < M::kMyCols; c++) s[r][c] = dropped >> (r * M::kMyCols + c) & 1 ? 0.0f : s[r][c];
      }
    }
    if constexpr (kSecond) {
      if (second.data != nullptr) M::accumulate(sums_b, s, columns_d, exchange);
    }
    if constexpr (kFirst) {
      if (first.data != nullptr) M::accumulate(sums_a, dp, columns_c, exchange);
    }
  }

  cp_async_wait<0>();
  __syncthreads();  // where there was no step, rows may still be on their way
  if constexpr (kFirst) {
    if (first.data != nullptr) {
#pragma unroll
      for (int r = 0; r < M::kMyRows; r++) {
#pragma unroll
        for (int e = 0; e < M::kMyDims; e++) sums_a[r][e] *= mask.scale;
      }
      store_rows<M>(rows_a, sums_a, first.of(batch, head) + row * first.time, first.time, count - row, mask.dim, add_first != 0);
    }
  }
  if constexpr (kSecond) {
    if (second.data != nullptr) {
      if constexpr (D::kOn) {
#pragma unroll
        for (int r = 0; r < M::kMyRows; r++) {
#pragma unroll
          for (int e = 0; e < M::kMyDims; e++) sums_b[r][e] *= dropout.kept;
        }
      }
      store_rows<M>(rows_a, sums_b, second.of(batch, head) + row * second.time, second.time, count - row, mask.dim, add_second != 0);
    }
  }
}

#define DELTA(T, suffix)                                                                                                            \
  KERNEL(attention_backward_delta_##suffix, (float* stats, HEADS(const T, dy), HEADS(const T, o), const float* lse, int64_t rows, int queries, int padded, int heads, int dim), kThreads) { \
    attention_delta<T>(stats, AS_HEADS(const T, dy), AS_HEADS(const T, o), lse, rows, queries, padded, heads, dim);                 \
  }
DELTA(float, f32)
DELTA(bf16, bf16)
DELTA(f16, f16)

// For heads of up to d elements; tiles of rows and columns are part of the name by which AttentionCuda asks for a kernel.
#define BACKWARD(name, d, rows, cols, T, suffix, kOfKeys, kFirst, kSecond)                                                            \
  KERNEL(attention_backward_##name##_d##d##_##rows##x##cols##_##suffix, (HEADS(T, first), int add_first, HEADS(T, second), int add_second, HEADS(const T, dy), HEADS(const T, q), HEADS(const T, k), HEADS(const T, v), const float* stats, int padded, MASK_PARAMETERS), kThreads, kBlocks) { \
    attention_backward<Products<T, d, rows, cols>, kOfKeys, kFirst, kSecond>(AS_HEADS(T, first), add_first, AS_HEADS(T, second), add_second, AS_HEADS(const T, dy), AS_HEADS(const T, q), AS_HEADS(const T, k), AS_HEADS(const T, v), stats, padded, AS_MASK, NoDropout{}); \
  }
#define DROPPED(name, d, rows, cols, T, suffix, kOfKeys, kFirst, kSecond)                                                            \
  KERNEL(attention_backward_##name##_dropped_d##d##_##rows##x##cols##_##suffix, (HEADS(T, first), int add_first, HEADS(T, second), int add_second, HEADS(const T, dy), HEADS(const T, q), HEADS(const T, k), HEADS(const T, v), const float* stats, int padded, MASK_PARAMETERS, DROPOUT_PARAMETERS), kThreads, kBlocks) { \
    attention_backward<Products<T, d, rows, cols>, kOfKeys, kFirst, kSecond>(AS_HEADS(T, first), add_first, AS_HEADS(T, second), add_second, AS_HEADS(const T, dy), AS_HEADS(const T, q), AS_HEADS(const T, k), AS_HEADS(const T, v), stats, padded, AS_MASK, AS_DROPOUT); \
  }
#define OF_QUERIES(d, rows, cols, T, suffix) BACKWARD(queries, d, rows, cols, T, suffix, false, true, false)
#define OF_KEYS(d, rows, cols, T, suffix) BACKWARD(keys, d, rows, cols, T, suffix, true, true, true)
#define OF_KEYS_APART(d, rows, cols, T, suffix)                       \
  BACKWARD(keys, d, rows, cols, T, suffix, true, true, false)         \
  BACKWARD(values, d, rows, cols, T, suffix, true, false, true)
#define DROPPED_OF_QUERIES(d, rows, cols, T, suffix) DROPPED(queries, d, rows, cols, T, suffix, false, true, false)
#define DROPPED_OF_KEYS(d, rows, cols, T, suffix) DROPPED(keys, d, rows, cols, T, suffix, true, true, true)
#define DROPPED_OF_KEYS_APART(d, rows, cols, T, suffix)               \
  DROPPED(keys, d, rows, cols, T, suffix, true, true, false)          \
  DROPPED(values, d, rows, cols, T, suffix, true, false, true)
#define HALVES(KIND, d, rows, cols) \
  KIND(d, rows, cols, bf16, bf16)   \
  KIND(d, rows, cols, f16, f16)
HALVES(OF_QUERIES, 32, 128, 32)
HALVES(OF_QUERIES, 64, 128, 32)
HALVES(OF_QUERIES, 96, 64, 32)
HALVES(OF_QUERIES, 128, 64, 32)
HALVES(OF_QUERIES, 192, 64, 32)
HALVES(OF_QUERIES, 256, 64, 16)
HALVES(OF_KEYS, 32, 128, 32)
HALVES(OF_KEYS, 64, 64, 64)
HALVES(OF_KEYS, 96, 64, 32)
HALVES(OF_KEYS, 128, 64, 32)
HALVES(OF_KEYS_APART, 192, 64, 32)
HALVES(OF_KEYS_APART, 256, 64, 16)
OF_QUERIES(64, 64, 32, float, f32)
OF_QUERIES(128, 32, 16, float, f32)
OF_QUERIES(256, 16, 8, float, f32)
OF_KEYS(64, 64, 32, float, f32)
OF_KEYS(128, 32, 16, float, f32)
OF_KEYS(256, 16, 8, float, f32)
HALVES(DROPPED_OF_QUERIES, 32, 128, 32)
HALVES(DROPPED_OF_QUERIES, 64, 128, 32)
HALVES(DROPPED_OF_QUERIES, 96, 64, 32)
HALVES(DROPPED_OF_QUERIES, 128, 64, 32)
HALVES(DROPPED_OF_QUERIES, 192, 64, 32)
HALVES(DROPPED_OF_QUERIES, 256, 64, 16)
HALVES(DROPPED_OF_KEYS, 32, 128, 32)
HALVES(DROPPED_OF_KEYS, 64, 64, 64)
HALVES(DROPPED_OF_KEYS, 96, 64, 32)
HALVES(DROPPED_OF_KEYS, 128, 64, 32)
HALVES(DROPPED_OF_KEYS_APART, 192, 64, 32)
HALVES(DROPPED_OF_KEYS_APART, 256, 64, 16)
DROPPED_OF_QUERIES(64, 64, 32, float, f32)
DROPPED_OF_QUERIES(128, 32, 16, float, f32)
DROPPED_OF_QUERIES(256, 16, 8, float, f32)
DROPPED_OF_KEYS(64, 64, 32, float, f32)
DROPPED_OF_KEYS(128, 32, 16, float, f32)
DROPPED_OF_KEYS(256, 16, 8, float, f32)
