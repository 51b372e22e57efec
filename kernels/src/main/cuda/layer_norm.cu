// layer_norm.cu — s = x + h,  x̂ = (s − mean(s))·rstd,  rstd = 1/sqrt(mean((s − mean(s))²) + ε),  y = x̂·w + b
//                                                             Ba, Kiros & Hinton 2016, arXiv:1607.06450
//   dx = dh = ds + rstd·(g − mean(g) − x̂·mean(g·x̂)) with g = dy·w,   dw = Σ_r dy·x̂,   db = Σ_r dy
// The residual h and its sum may be missing (null): then s is x. So may w (ones) and b (zeros).
// Tiling: as in rms_norm.cu. 16-byte loads; short rows: a warp per row, 4 rows a block, the row in registers while mean
//   and then variance are summed (around the mean, so that a large mean costs no precision); rows of more than 8 vectors
//   a lane (1024 fp32, 2048 half elements): a block of 256 threads per row, in registers up to 8 vectors a thread, what
//   is beyond read again from L2. Backward: a warp (a block, from 4 vectors a lane on) goes through its share of the rows
//   and keeps their contributions to dw and db, in registers up to 4 vectors a thread; one partial row of fp32 for each
//   share, added up by partial_sum in a fixed order. Shares depend on the number of rows alone, so runs repeat bit for
//   bit. dy and x are read twice, the second time from L1 or L2.
// Traffic (s bytes an element): forward 2·R·C·s + 8·R, with residual 4·R·C·s; backward 3·R·C·s (4 with ds, 5 with dh),
//   and twice 8·shares·C.  FLOPs: ~7·R·C forward, ~14·R·C backward, so memory bound.
// Measured: not yet.
#include "norm.cuh"

constexpr int kKept = 8;  // vectors of a row that a thread keeps
constexpr int kSums = 4;  // vectors of dw and db that a thread keeps

template <class T>
struct Input {
  const T* data;
  int64_t stride;
};

template <class T, int N, int kThreads>
__device__ void layer_norm_forward(T* sum, int64_t sum_stride, T* y, int64_t y_stride, float* means, float* rstd, Input<T> x, Input<T> h, const T* w,
                                   const T* b, float eps, int64_t rows, int cols) {
  using Threads = RowThreads<kThreads>;
  int64_t row = Threads::first();
  if (row >= rows) return;
  const T* in = h.data == nullptr ? x.data + row * x.stride : sum + row * sum_stride;  // what is normalised, once it is there
  float kept[kKept][N];
  float total = 0;
  int units = cols / N;  // N divides cols
  auto load = [&](float (&v)[N], int at) {
    load_summed(v, sum + row * sum_stride + at, x.data + row * x.stride + at, h.data == nullptr ? nullptr : h.data + row * h.stride + at);
#pragma unroll
    for (int i = 0; i < N; i++) total += v[i];
  };
#pragma unroll
  for (int j = 0; j < kKept; j++) {
    int unit = j * kThreads + Threads::rank();
    if (unit < units) load(kept[j], unit * N);
  }
  for (int unit = kKept * kThreads + Threads::rank(); unit < units; unit += kThreads) {
    float v[N];
    load(v, unit * N);
  }
  float mean = Threads::sum(total) / static_cast<float>(cols);
  float squares = 0;
  auto center = [&](float (&v)[N]) {
#pragma unroll
    for (int i = 0; i < N; i++) {
      v[i] -= mean;
      squares += v[i] * v[i];
    }
  };
#pragma unroll
  for (int j = 0; j < kKept; j++) {
    if (j * kThreads + Threads::rank() < units) center(kept[j]);
  }
  for (int unit = kKept * kThreads + Threads::rank(); unit < units; unit += kThreads) {
    float v[N];
    load_floats(v, in + unit * N);
    center(v);
  }
  float scale = 1.0f / sqrtf(Threads::sum(squares) / static_cast<float>(cols) + eps);
  if (Threads::rank() == 0) {
    means[row] = mean;
    rstd[row] = scale;
  }
  auto write = [&](float (&v)[N], int at) {  // v without the mean
    float weight[N], bias[N];
    if (w != nullptr) load_floats(weight, w + at);
    if (b != nullptr) load_floats(bias, b + at);
#pragma unroll
    for (int i = 0; i < N; i++) v[i] = v[i] * scale * (w == nullptr ? 1.0f : weight[i]) + (b == nullptr ? 0.0f : bias[i]);
    store_floats(y + row * y_stride + at, v);
  };
#pragma unroll
  for (int j = 0; j < kKept; j++) {
    int unit = j * kThreads + Threads::rank();
    if (unit < units) write(kept[j], unit * N);
  }
  for (int unit = kKept * kThreads + Threads::rank(); unit < units; unit += kThreads) {
    float v[N];
    load_floats(v, in + unit * N);
#pragma unroll
    for (int i = 0; i < N; i++) v[i] -= mean;
    write(v, unit * N);
  }
}

// dw and db: one partial row of fp32 for each share of `share` rows, null where nobody wants it. ds and dy are null for
// zeros.
template <class T, int N, int kThreads>
__device__ void layer_norm_backward(Destination<T> dx, Destination<T> dh, float* dw, float* db, Input<T> ds, Input<T> dy, Input<T> x, const T* w,
                                    const float* means, const float* rstd, int64_t rows, int64_t share, int cols) {
  using Threads = RowThreads<kThreads>;
  int64_t from = Threads::first() * share, to = min(from + share, rows);
  if (from >= rows) return;
  int units = cols / N;
  float weight_sums[kSums][N] = {}, bias_sums[kSums][N] = {};
  if (dw != nullptr) {
    dw += Threads::first() * cols;
    clear_partial<kThreads>(dw, kSums * kThreads * N, cols);
  }
  if (db != nullptr) {
    db += Threads::first() * cols;
    clear_partial<kThreads>(db, kSums * kThreads * N, cols);
  }
  sync_row<kThreads>();
  for (int64_t row = from; row < to; row++) {
    float mean = means[row], scale = rstd[row];
    auto load = [&](float (&d)[N], float (&g)[N], float (&v)[N], int at) {  // dy, dy·w and x̂
      float weight[N];
      load_floats(d, dy.data + row * dy.stride + at);
      load_floats(v, x.data + row * x.stride + at);
      if (w != nullptr) load_floats(weight, w + at);
#pragma unroll
      for (int i = 0; i < N; i++) {
        g[i] = w == nullptr ? d[i] : d[i] * weight[i];
        v[i] = (v[i] - mean) * scale;
      }
    };
    float shift = 0, slope = 0;  // mean(g), mean(g·x̂)
    if (dy.data != nullptr) {
#pragma unroll 2
      for (int unit = Threads::rank(); unit < units; unit += kThreads) {
        float d[N], g[N], v[N];
        load(d, g, v, unit * N);
#pragma unroll
        for (int i = 0; i < N; i++) {
          shift += g[i];
          slope += g[i] * v[i];
        }
      }
      shift = Threads::sum(shift) / static_cast<float>(cols);
      slope = Threads::sum(slope) / static_cast<float>(cols);
    }
    // d becomes dy, v dy·x̂: what the row adds to db and dw.
    auto gradients = [&](float (&d)[N], float (&v)[N], int at) {
      float g[N] = {};
      if (dy.data != nullptr) {
        load(d, g, v, at);
#pragma unroll
        for (int i = 0; i < N; i++) {
          g[i] = scale * (g[i] - shift - v[i] * slope);
          v[i] *= d[i];
        }
      }
      if (ds.data != nullptr) {
        float direct[N];
        load_floats(direct, ds.data + row * ds.stride + at);
#pragma unroll
        for (int i = 0; i < N; i++) g[i] += direct[i];
      }
      if (dx.data != nullptr) {
        float out[N];
#pragma unroll
        for (int i = 0; i < N; i++) out[i] = g[i];
        emit_floats(dx.data + row * dx.stride + at, out, dx.accumulate);
      }
      if (dh.data != nullptr) emit_floats(dh.data + row * dh.stride + at, g, dh.accumulate);
    };
#pragma unroll
    for (int j = 0; j < kSums; j++) {
      int unit = j * kThreads + Threads::rank();
      if (unit < units) {
        float d[N] = {}, v[N] = {};
        gradients(d, v, unit * N);
#pragma unroll
        for (int i = 0; i < N; i++) {
          weight_sums[j][i] += v[i];
          bias_sums[j][i] += d[i];
        }
      }
    }
    for (int unit = kSums * kThreads + Threads::rank(); unit < units; unit += kThreads) {
      float d[N] = {}, v[N] = {};
      gradients(d, v, unit * N);
      if (dw != nullptr) add_partial(dw + unit * N, v);
      if (db != nullptr) add_partial(db + unit * N, d);
    }
  }
#pragma unroll
  for (int j = 0; j < kSums; j++) {
    int unit = j * kThreads + Threads::rank();
    if (unit < units && dw != nullptr) store_floats(dw + unit * N, weight_sums[j]);
    if (unit < units && db != nullptr) store_floats(db + unit * N, bias_sums[j]);
  }
}

// The host says whether all rows can be read in vectors.
#define INSTANCE(T, suffix, name, kThreads)                                                                                              \
  KERNEL(layer_norm_forward_##name##suffix,                                                                                              \
         (T * sum, int64_t sum_stride, T* y, int64_t y_stride, float* mean, float* rstd, const T* x, int64_t x_stride, const T* h, int64_t h_stride, \
          const T* w, const T* b, float eps, int64_t rows, int cols, int vectors),                                                       \
         RowThreads<kThreads>::kBlock, kThreads == kWarp ? 3 : 2) {                                                                                                 \
    if (vectors) {                                                                                                                       \
      layer_norm_forward<T, kVecLength<T>, kThreads>(sum, sum_stride, y, y_stride, mean, rstd, {x, x_stride}, {h, h_stride}, w, b, eps, rows, cols); \
    } else {                                                                                                                             \
      layer_norm_forward<T, 1, kThreads>(sum, sum_stride, y, y_stride, mean, rstd, {x, x_stride}, {h, h_stride}, w, b, eps, rows, cols); \
    }                                                                                                                                    \
  }                                                                                                                                      \
  KERNEL(layer_norm_backward_##name##suffix,                                                                                             \
         (T * dx, int64_t dx_stride, int add_x, T* dh, int64_t dh_stride, int add_h, float* dw, float* db, const T* ds, int64_t ds_stride, const T* dy, \
          int64_t dy_stride, const T* x, int64_t x_stride, const T* w, const float* mean, const float* rstd, int64_t rows, int64_t share, int cols, \
          int vectors),                                                                                                                  \
         RowThreads<kThreads>::kBlock, kThreads == kWarp ? 3 : 2) {                                                                                                 \
    Destination<T> to_x{dx, dx_stride, add_x != 0}, to_h{dh, dh_stride, add_h != 0};                                                     \
    if (vectors) {                                                                                                                       \
      layer_norm_backward<T, kVecLength<T>, kThreads>(to_x, to_h, dw, db, {ds, ds_stride}, {dy, dy_stride}, {x, x_stride}, w, mean, rstd, rows, share, cols); \
    } else {                                                                                                                             \
      layer_norm_backward<T, 1, kThreads>(to_x, to_h, dw, db, {ds, ds_stride}, {dy, dy_stride}, {x, x_stride}, w, mean, rstd, rows, share, cols); \
    }                                                                                                                                    \
  }
#define INSTANCES(T, suffix)         \
  INSTANCE(T, suffix, , kWarp)       \
  INSTANCE(T, suffix, long_, kLong)
INSTANCES(float, f32)
INSTANCES(bf16, bf16)
INSTANCES(f16, f16)
