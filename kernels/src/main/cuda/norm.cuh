// norm.cuh — s = x + h,   x̂ = (s − mean)·rstd,   rstd = 1/sqrt(mean_c((s − mean)²) + ε),   y = x̂·(w + offset) + b
//   g = dy·(w + offset),   dx = dh = ds + rstd·(g − mean_c(g) − x̂·mean_c(g·x̂)),   dw = Σ_r dy·x̂,   db = Σ_r dy
//   layer_norm.cu: all of it. rms_norm.cu: the same with mean = mean_c(g) = 0 and without b, which is left out when it is
//   compiled (kCentred). The residual h and its sum may be missing (null), then s is x; so may w (ones) and b (zeros).
// Tiling: 16-byte loads, all of a row under way before the first is used (Row). Short rows: a warp per row, 4 rows a block;
//   the row stays in registers, as it lay in memory, while mean and then variance are summed (around the mean, so that a
//   large mean costs no precision). Rows of more than 8 vectors a lane (1024 fp32, 2048 half elements): a block of 256
//   threads per row, in registers up to 8 vectors a thread (8192, 16384), what is beyond read again from L2. Backward: a
//   warp (a block, from 8 vectors a lane on, with a mean from 4) goes through its share of the rows and keeps their
//   contributions to dw and db in registers, kNormSums vectors a thread; what is beyond is added to in memory. One partial
//   row of fp32 for each share, added up by partial_sum in a fixed order. There are as many shares as warps (blocks) run at
//   once: they depend on the number of rows and of multiprocessors, so runs repeat bit for bit. A lane has up to 8 (LayerNorm
//   12, of RMSNorm's longest 24) loads of 16 bytes under way, and 8 warps of the backward pass share a multiprocessor.
// Traffic (s bytes an element): forward 2·R·C·s, with residual 4·R·C·s, and 4·R for each statistic; backward 3·R·C·s (4
//   with ds, 5 with dh), and twice 4·shares·C for each of dw and db.  FLOPs: forward ~4·R·C (RMS) or ~7·R·C, backward
//   ~10·R·C or ~14·R·C, so memory bound.
// Measured: not yet.
#pragma once
#include "row.cuh"

constexpr int kLong = 256;  // threads of a block that has a long row
constexpr int kKept = 8;    // vectors of a row that a thread keeps
// Vectors of a row, and of dw and db, or of dw, that a thread of the backward pass keeps.
template <bool kCentred, int kThreads>
constexpr int kNormSums = (kThreads == kWarp ? 8 : 4) / (kCentred ? 2 : 1);

template <class T>
struct Input {
  const T* data;
  int64_t stride;
  __device__ __forceinline__ const T* row(int64_t r) const { return data == nullptr ? nullptr : data + r * stride; }
};

// A number of elements that are read at once, as a type.
template <int N>
struct Width {
  static constexpr int value = N;
};

// A gradient's destination, null where nobody wants it.
template <class T>
struct Destination {
  T* data;
  int64_t stride;
  bool accumulate;
};

// The vectors of a row that belong to this thread: its first ones, by their number and first column,
template <int kVectors, int N, int kThreads, class Body>
__device__ __forceinline__ void each_first(int cols, Body body) {
  int rank = RowThreads<kThreads>::rank(), units = cols / N;  // N divides cols
#pragma unroll
  for (int j = 0; j < kVectors; j++) {
    int unit = j * kThreads + rank;
    if (unit < units) body(j, unit * N);
  }
}
// and those beyond, all under the number kVectors.
template <int kVectors, int N, int kThreads, class Body>
__device__ __forceinline__ void each_vector(int cols, Body body) {
  each_first<kVectors, N, kThreads>(cols, body);
  int units = cols / N;
#pragma unroll 1  // unrolled, it would take registers from all rows for the few that are so long
  for (int unit = kVectors * kThreads + RowThreads<kThreads>::rank(); unit < units; unit += kThreads) body(kVectors, unit * N);
}

// A row as this thread has it: its first vectors, all of them under way before one is used, and where the others lie.
template <class T, int N, int kThreads, int kVectors>
struct Row {
  Packed<T, N> first[kVectors];
  const T* data;

  // Null stands for a row that nobody reads.
  __device__ __forceinline__ void load(const T* row, int cols) {
    data = row;
    if (row == nullptr) return;
    each_first<kVectors, N, kThreads>(cols, [&](int j, int at) { first[j] = load_packed<N>(row + at); });
  }
  __device__ __forceinline__ void floats(float (&v)[N], int j, int at) const {
    if (j < kVectors) {
      unpack<T>(v, first[j < kVectors ? j : 0]);
    } else {
      load_floats(v, data + at);
    }
  }
  __device__ __forceinline__ void floats_or(float (&v)[N], int j, int at, float otherwise) const {
    if (data != nullptr) {
      floats(v, j, at);
    } else {
#pragma unroll
      for (int i = 0; i < N; i++) v[i] = otherwise;
    }
  }
};

template <int N, class T>
__device__ __forceinline__ void load_or(float (&v)[N], const T* p, int at, float otherwise) {
  if (p != nullptr) {
    load_floats(v, p + at);
  } else {
#pragma unroll
    for (int i = 0; i < N; i++) v[i] = otherwise;
  }
}

template <bool kCentred, class T, int N, int kThreads>
__device__ void norm_forward(T* sum, int64_t sum_stride, T* y, int64_t y_stride, float* means, float* rstd, Input<T> x, Input<T> h, const T* w, float offset,
                             const T* b, float eps, int64_t rows, int cols) {
  using Threads = RowThreads<kThreads>;
  int64_t row = Threads::first();
  if (row >= rows) return;
  const T* of_h = h.row(row);
  sum += row * sum_stride;
  y += row * y_stride;
  Row<T, N, kThreads, kKept> in;  // what is normalised: x, or the sum x + h, which is written and then is what it was rounded to
  in.load(x.row(row), cols);
  if (of_h != nullptr) {
    Row<T, N, kThreads, kKept> added;
    added.load(of_h, cols);
    each_vector<kKept, N, kThreads>(cols, [&](int j, int at) {
      float v[N], more[N];
      in.floats(v, j, at);
      added.floats(more, j, at);
#pragma unroll
      for (int i = 0; i < N; i++) v[i] += more[i];
      Packed<T, N> rounded = packed<T>(v);
      if (j < kKept) in.first[j < kKept ? j : 0] = rounded;
      store_packed<N>(sum + at, rounded);
    });
    in.data = sum;
  }
  float mean = 0;
  if constexpr (kCentred) {
    float total = 0;
    each_vector<kKept, N, kThreads>(cols, [&](int j, int at) {
      float v[N];
      in.floats(v, j, at);
#pragma unroll
      for (int i = 0; i < N; i++) total += v[i];
    });
    mean = Threads::sum(total) / static_cast<float>(cols);
  }
  auto centred = [&](float (&v)[N], int j, int at) {
    in.floats(v, j, at);
#pragma unroll
    for (int i = 0; i < N; i++) v[i] -= mean;
  };
  float squares = 0;
  each_vector<kKept, N, kThreads>(cols, [&](int j, int at) {
    float v[N];
    centred(v, j, at);
#pragma unroll
    for (int i = 0; i < N; i++) squares += v[i] * v[i];
  });
  float scale = 1.0f / sqrtf(Threads::sum(squares) / static_cast<float>(cols) + eps);
  if (Threads::rank() == 0) {
    if constexpr (kCentred) means[row] = mean;
    rstd[row] = scale;
  }
  each_vector<kKept, N, kThreads>(cols, [&](int j, int at) {
    float v[N], weight[N], bias[N];
    load_or(weight, w, at, 1.0f);
    if constexpr (kCentred) load_or(bias, b, at, 0.0f);
    centred(v, j, at);
#pragma unroll
    for (int i = 0; i < N; i++) {
      v[i] = v[i] * scale * (weight[i] + offset);
      if constexpr (kCentred) v[i] += bias[i];
    }
    store_floats(y + at, v);
  });
}

// dw and db: one partial row of fp32 for each share of `share` rows, null where nobody wants it. ds and dy are null for
// zeros.
template <bool kCentred, class T, int N, int kThreads>
__device__ void norm_backward(Destination<T> dx, Destination<T> dh, float* dw, float* db, Input<T> ds, Input<T> dy, Input<T> x, const T* w, float offset,
                              const float* means, const float* rstd, int64_t rows, int64_t share, int cols) {
  using Threads = RowThreads<kThreads>;
  constexpr int kSums = kNormSums<kCentred, kThreads>;
  int64_t from = Threads::first() * share, to = min(from + share, rows);
  if (from >= rows) return;
  float weight_sums[kSums][N] = {}, bias_sums[kSums][N] = {};
  auto open = [&](float*& partial) {  // zeros beyond the registers, to which rows are added one by one
    if (partial == nullptr) return;
    partial += Threads::first() * cols;
    for (int at = kSums * kThreads * N + Threads::rank(); at < cols; at += kThreads) partial[at] = 0;
  };
  open(dw);
  if constexpr (kCentred) open(db);
  Threads::barrier();
#pragma unroll 1
  for (int64_t row = from; row < to; row++) {
    Row<T, N, kThreads, kSums> of_dy, of_x, of_ds;
    of_dy.load(dy.row(row), cols);
    of_x.load(of_dy.data == nullptr ? nullptr : x.row(row), cols);
    of_ds.load(ds.row(row), cols);
    float scale = rstd[row], mean = 0;
    if constexpr (kCentred) mean = means[row];
    float unit = kCentred ? 1.0f : scale;                                          // x̂ = unit · v
    auto load = [&](float (&d)[N], float (&g)[N], float (&v)[N], int j, int at) {  // dy, dy·w and v
      of_dy.floats(d, j, at);
      of_x.floats(v, j, at);
      load_or(g, w, at, 1.0f);
#pragma unroll
      for (int i = 0; i < N; i++) {
        g[i] = (g[i] + offset) * d[i];
        if constexpr (kCentred) v[i] = (v[i] - mean) * scale;
      }
    };
    float shift = 0, slope = 0;  // mean(g), unit · mean(g·x̂)
    if (of_dy.data != nullptr) {
      each_vector<kSums, N, kThreads>(cols, [&](int j, int at) {
        float d[N], g[N], v[N];
        load(d, g, v, j, at);
#pragma unroll
        for (int i = 0; i < N; i++) {
          if constexpr (kCentred) shift += g[i];
          slope += g[i] * v[i];
        }
      });
      if constexpr (kCentred) shift = Threads::sum(shift) / static_cast<float>(cols);
      slope = unit * (Threads::sum(slope) * unit / static_cast<float>(cols));
    }
    each_vector<kSums, N, kThreads>(cols, [&](int j, int at) {
      float d[N] = {}, v[N] = {}, g[N] = {};
      if (of_dy.data != nullptr) {
        load(d, g, v, j, at);
#pragma unroll
        for (int i = 0; i < N; i++) {
          g[i] = scale * (g[i] - shift - slope * v[i]);
          v[i] = d[i] * (v[i] * unit);  // what the row adds to dw, as d to db
        }
      }
      float direct[N];
      of_ds.floats_or(direct, j, at, 0.0f);
#pragma unroll
      for (int i = 0; i < N; i++) g[i] += direct[i];
      if (dx.data != nullptr) {
        float out[N];
#pragma unroll
        for (int i = 0; i < N; i++) out[i] = g[i];
        emit_floats(dx.data + row * dx.stride + at, out, dx.accumulate);
      }
      if (dh.data != nullptr) emit_floats(dh.data + row * dh.stride + at, g, dh.accumulate);
      if (j < kSums) {
        int sums = j < kSums ? j : 0;
#pragma unroll
        for (int i = 0; i < N; i++) {
          weight_sums[sums][i] += v[i];
          if constexpr (kCentred) bias_sums[sums][i] += d[i];
        }
      } else {
        if (dw != nullptr) emit_floats(dw + at, v, true);
        if constexpr (kCentred) {
          if (db != nullptr) emit_floats(db + at, d, true);
        }
      }
    });
  }
  each_first<kSums, N, kThreads>(cols, [&](int j, int at) {
    if (dw != nullptr) store_floats(dw + at, weight_sums[j]);
    if constexpr (kCentred) {
      if (db != nullptr) store_floats(db + at, bias_sums[j]);
    }
  });
}

// The host says whether all rows can be read in vectors.
#define NORM_INSTANCE(op, kCentred, T, name, kThreads)                                                                                                 \
  KERNEL(op##_forward_##name,                                                                                                                          \
         (T * sum, int64_t sum_stride, T* y, int64_t y_stride, float* mean, float* rstd, const T* x, int64_t x_stride, const T* h, int64_t h_stride,   \
          const T* w, float offset, const T* b, float eps, int64_t rows, int cols, int vectors),                                                       \
         RowThreads<kThreads>::kBlock, kThreads == kWarp ? 3 : 2) {                                                                                    \
    auto run = [&](auto n) {                                                                                                                           \
      norm_forward<kCentred, T, n.value, kThreads>(sum, sum_stride, y, y_stride, mean, rstd, {x, x_stride}, {h, h_stride}, w, offset, b, eps, rows,    \
                                                 cols);                                                                                                \
    };                                                                                                                                                 \
    vectors ? run(Width<kVecLength<T>>{}) : run(Width<1>{});                                                                                           \
  }                                                                                                                                                    \
  KERNEL(op##_backward_##name,                                                                                                                         \
         (T * dx, int64_t dx_stride, int add_x, T* dh, int64_t dh_stride, int add_h, float* dw, float* db, const T* ds, int64_t ds_stride, const T* dy, \
          int64_t dy_stride, const T* x, int64_t x_stride, const T* w, float offset, const float* mean, const float* rstd, int64_t rows,              \
          int64_t share, int cols, int vectors),                                                                                                       \
         RowThreads<kThreads>::kBlock, 2) {                                                                                                            \
    auto run = [&](auto n) {                                                                                                                           \
      norm_backward<kCentred, T, n.value, kThreads>({dx, dx_stride, add_x != 0}, {dh, dh_stride, add_h != 0}, dw, db, {ds, ds_stride}, {dy, dy_stride}, \
                                                    {x, x_stride}, w, offset, mean, rstd, rows, share, cols);                                          \
    };                                                                                                                                                 \
    vectors ? run(Width<kVecLength<T>>{}) : run(Width<1>{});                                                                                           \
  }
#define NORM_INSTANCES(op, kCentred)                                                                                                                   \
  NORM_INSTANCE(op, kCentred, float, f32, kWarp)                                                                                                       \
  NORM_INSTANCE(op, kCentred, float, long_f32, kLong)                                                                                                  \
  NORM_INSTANCE(op, kCentred, bf16, bf16, kWarp)                                                                                                       \
  NORM_INSTANCE(op, kCentred, bf16, long_bf16, kLong)                                                                                                  \
  NORM_INSTANCE(op, kCentred, f16, f16, kWarp)                                                                                                         \
  NORM_INSTANCE(op, kCentred, f16, long_f16, kLong)
