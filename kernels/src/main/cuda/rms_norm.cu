// rms_norm.cu — s = x + h,  y = s·rstd·w,  rstd = 1/sqrt(mean(s²) + ε)          Zhang & Sennrich 2019, arXiv:1910.07467
//   dx = dh = ds + rstd·(dy·w − s·rstd²·mean(dy·w·s)),   dw = Σ_r dy·s·rstd
// The residual h and its sum may be missing (null): then s is x.
// Tiling: 16-byte loads. Short rows: a warp per row, 4 rows a block, the row in registers; rows of more than 8 vectors
//   a lane (1024 fp32, 2048 half elements): a block of 256 threads per row, in registers up to 8 vectors a thread
//   (8192, 16384), what is beyond read again from L2. Backward: a warp (a block) goes through its share of the rows and
//   keeps their contribution to dw, in registers as far as the row is; one partial row of fp32 for each share, added up
//   by partial_sum in a fixed order. Shares depend on the number of rows alone, so runs repeat bit for bit.
// Traffic (s bytes an element): forward 2·R·C·s + 4·R, with residual 4·R·C·s; backward 3·R·C·s (4 with ds, 5 with dh),
//   and twice 4·shares·C.  FLOPs: ~4·R·C forward, ~10·R·C backward, so memory bound.
// Measured: not yet.
#include "norm.cuh"

constexpr int kKept = 8;  // vectors of a row that a thread keeps

template <class T, int N, int kThreads>
__device__ void rms_norm_forward(T* sum, int64_t sum_stride, T* y, int64_t y_stride, float* rstd, const T* x, int64_t x_stride, const T* h, int64_t h_stride,
                                 const T* w, float eps, int64_t rows, int cols) {
  using Threads = RowThreads<kThreads>;
  int64_t row = Threads::first();
  if (row >= rows) return;
  const T* in = h == nullptr ? x + row * x_stride : sum + row * sum_stride;  // what is normalised, once it is there
  float kept[kKept][N];
  float squares = 0;
  int units = cols / N;  // N divides cols
  auto load = [&](float (&v)[N], int at) {
    load_summed(v, sum + row * sum_stride + at, x + row * x_stride + at, h == nullptr ? nullptr : h + row * h_stride + at);
  };
#pragma unroll
  for (int j = 0; j < kKept; j++) {
    int unit = j * kThreads + Threads::rank();
    if (unit < units) {
      load(kept[j], unit * N);
#pragma unroll
      for (int i = 0; i < N; i++) squares += kept[j][i] * kept[j][i];
    }
  }
  for (int unit = kKept * kThreads + Threads::rank(); unit < units; unit += kThreads) {
    float v[N];
    load(v, unit * N);
#pragma unroll
    for (int i = 0; i < N; i++) squares += v[i] * v[i];
  }
  float scale = 1.0f / sqrtf(Threads::sum(squares) / static_cast<float>(cols) + eps);
  if (Threads::rank() == 0) rstd[row] = scale;
  auto write = [&](float (&v)[N], int at) {
    float weight[N];
    load_floats(weight, w + at);
#pragma unroll
    for (int i = 0; i < N; i++) v[i] = v[i] * scale * weight[i];
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
    write(v, unit * N);
  }
}

// dw: one partial row of fp32 for each share of `share` rows, null where nobody wants it. ds and dy are null for zeros.
template <class T, int N, int kThreads>
__device__ void rms_norm_backward(Destination<T> dx, Destination<T> dh, float* partial, const T* ds, int64_t ds_stride, const T* dy, int64_t dy_stride,
                                  const T* x, int64_t x_stride, const T* w, const float* rstd, int64_t rows, int64_t share, int cols) {
  using Threads = RowThreads<kThreads>;
  int64_t from = Threads::first() * share, to = min(from + share, rows);
  if (from >= rows) return;
  int units = cols / N;
  float dw[kKept][N] = {};
  float* dw_row = partial == nullptr ? nullptr : partial + Threads::first() * cols;
  if (dw_row != nullptr) {
    clear_partial<kThreads>(dw_row, kKept * kThreads * N, cols);
    sync_row<kThreads>();
  }
  for (int64_t row = from; row < to; row++) {
    float scale = rstd[row];
    float dot = 0;
    auto add = [&](int at) {
      float g[N], v[N], weight[N];
      load_floats(g, dy + row * dy_stride + at);
      load_floats(v, x + row * x_stride + at);
      load_floats(weight, w + at);
#pragma unroll
      for (int i = 0; i < N; i++) dot += g[i] * weight[i] * v[i];
    };
    if (dy != nullptr) {
      for (int unit = Threads::rank(); unit < units; unit += kThreads) add(unit * N);
      dot = Threads::sum(dot) * scale / static_cast<float>(cols);
    }
    float slope = -scale * dot;
    auto gradients = [&](int at, float (&weight_sum)[N]) {
      float g[N] = {}, d[N] = {}, v[N];
      if (dy != nullptr) {
        float weight[N];
        load_floats(g, dy + row * dy_stride + at);
        load_floats(v, x + row * x_stride + at);
        load_floats(weight, w + at);
#pragma unroll
        for (int i = 0; i < N; i++) {
          weight_sum[i] += g[i] * (v[i] * scale);
          d[i] = scale * (g[i] * weight[i] + slope * v[i]);
        }
      }
      if (ds != nullptr) {
        load_floats(v, ds + row * ds_stride + at);
#pragma unroll
        for (int i = 0; i < N; i++) d[i] += v[i];
      }
      if (dx.data != nullptr) {
#pragma unroll
        for (int i = 0; i < N; i++) v[i] = d[i];
        emit_floats(dx.data + row * dx.stride + at, v, dx.accumulate);
      }
      if (dh.data != nullptr) emit_floats(dh.data + row * dh.stride + at, d, dh.accumulate);
    };
#pragma unroll
    for (int j = 0; j < kKept; j++) {
      int unit = j * kThreads + Threads::rank();
      if (unit < units) gradients(unit * N, dw[j]);
    }
    for (int unit = kKept * kThreads + Threads::rank(); unit < units; unit += kThreads) {
      float weight_sum[N] = {};
      if (dw_row != nullptr) load_floats(weight_sum, dw_row + unit * N);
      gradients(unit * N, weight_sum);
      if (dw_row != nullptr) store_floats(dw_row + unit * N, weight_sum);
    }
  }
  if (dw_row == nullptr) return;
#pragma unroll
  for (int j = 0; j < kKept; j++) {
    int unit = j * kThreads + Threads::rank();
    if (unit < units) store_floats(dw_row + unit * N, dw[j]);
  }
}

// The host says whether all rows can be read in vectors.
#define INSTANCE(T, suffix, name, kThreads)                                                                                               \
  KERNEL(rms_norm_forward_##name##suffix,                                                                                                 \
         (T * sum, int64_t sum_stride, T* y, int64_t y_stride, float* rstd, const T* x, int64_t x_stride, const T* h, int64_t h_stride, const T* w, float eps, \
          int64_t rows, int cols, int vectors),                                                                                           \
         RowThreads<kThreads>::kBlock, kThreads == kWarp ? 3 : 2) {                                                                                                  \
    if (vectors) {                                                                                                                        \
      rms_norm_forward<T, kVecLength<T>, kThreads>(sum, sum_stride, y, y_stride, rstd, x, x_stride, h, h_stride, w, eps, rows, cols);     \
    } else {                                                                                                                              \
      rms_norm_forward<T, 1, kThreads>(sum, sum_stride, y, y_stride, rstd, x, x_stride, h, h_stride, w, eps, rows, cols);                 \
    }                                                                                                                                     \
  }                                                                                                                                       \
  KERNEL(rms_norm_backward_##name##suffix,                                                                                                \
         (T * dx, int64_t dx_stride, int add_x, T* dh, int64_t dh_stride, int add_h, float* partial, const T* ds, int64_t ds_stride, const T* dy, \
          int64_t dy_stride, const T* x, int64_t x_stride, const T* w, const float* rstd, int64_t rows, int64_t share, int cols, int vectors), \
         RowThreads<kThreads>::kBlock, kThreads == kWarp ? 3 : 2) {                                                                                                  \
    Destination<T> to_x{dx, dx_stride, add_x != 0}, to_h{dh, dh_stride, add_h != 0};                                                      \
    if (vectors) {                                                                                                                        \
      rms_norm_backward<T, kVecLength<T>, kThreads>(to_x, to_h, partial, ds, ds_stride, dy, dy_stride, x, x_stride, w, rstd, rows, share, cols); \
    } else {                                                                                                                              \
      rms_norm_backward<T, 1, kThreads>(to_x, to_h, partial, ds, ds_stride, dy, dy_stride, x, x_stride, w, rstd, rows, share, cols);      \
    }                                                                                                                                     \
  }
#define INSTANCES(T, suffix)         \
  INSTANCE(T, suffix, , kWarp)       \
  INSTANCE(T, suffix, long_, kLong)
INSTANCES(float, f32)
INSTANCES(bf16, bf16)
INSTANCES(f16, f16)
