// softmax.cu — y = e^(x-m)/Σ e^(x-m), m = max x, and its logarithm x - m - ln Σ e^(x-m), by rows
//   dx = y·(dy − Σ dy·y),   of the logarithm dx = dy − e^y·Σ dy
// Maximum and sum come from one pass that scales the sum when the maximum rises: Milakov & Gimelshein 2018,
//   arXiv:1805.02867. The second pass reads the row from cache.
// Tiling: a warp per row up to 1024 columns, 4 rows a block; beyond, a block of 256 threads per row. 16-byte loads where
//   rows are aligned.
// Traffic (s bytes an element): forward 2·R·C·s, backward 3·R·C·s.  FLOPs: ~10 an element, so memory bound.
// Measured: not yet.
#include "row.cuh"
#include "softmax.cuh"

constexpr int kLong = 256;

template <class T, int N, int kThreads>
__device__ void softmax_forward(T* y, int64_t y_stride, const T* x, int64_t x_stride, int64_t rows, int cols, bool logarithm) {
  using Threads = RowThreads<kThreads>;
  int64_t row = Threads::first();
  if (row >= rows) return;
  x += row * x_stride;
  y += row * y_stride;
  Exponentials e = {};
  for (int at = Threads::rank() * N; at < cols; at += kThreads * N) {
    float v[N];
    load_floats(v, x + at);
    e.add(v);
  }
  e.reduce<Threads>();
  float factor = 1.0f / e.sum, shift = e.max + logf(e.sum);
  for (int at = Threads::rank() * N; at < cols; at += kThreads * N) {
    float v[N];
    load_floats(v, x + at);
#pragma unroll
    for (int i = 0; i < N; i++) v[i] = logarithm ? v[i] - shift : exponential(v[i] - e.max) * factor;
    store_floats(y + at, v);
  }
}

template <class T, int N, int kThreads>
__device__ void softmax_backward(T* dx, int64_t dx_stride, bool accumulate, const T* dy, int64_t dy_stride, const T* y, int64_t y_stride, int64_t rows,
                                 int cols, bool logarithm) {
  using Threads = RowThreads<kThreads>;
  int64_t row = Threads::first();
  if (row >= rows) return;
  dx += row * dx_stride;
  dy += row * dy_stride;
  y += row * y_stride;
  float sum = 0;
  for (int at = Threads::rank() * N; at < cols; at += kThreads * N) {
    float d[N], v[N];
    load_floats(d, dy + at);
    load_floats(v, y + at);
#pragma unroll
    for (int i = 0; i < N; i++) sum += logarithm ? d[i] : d[i] * v[i];
  }
  sum = Threads::sum(sum);
  for (int at = Threads::rank() * N; at < cols; at += kThreads * N) {
    float d[N], v[N];
    load_floats(d, dy + at);
    load_floats(v, y + at);
#pragma unroll
    for (int i = 0; i < N; i++) d[i] = logarithm ? d[i] - expf(v[i]) * sum : v[i] * (d[i] - sum);
    emit_floats(dx + at, d, accumulate);
  }
}

// The host says whether all rows can be read in vectors.
#define INSTANCE(T, suffix, name, kThreads)                                                                                        \
  KERNEL(softmax_forward_##name##suffix, (T * y, int64_t y_stride, const T* x, int64_t x_stride, int64_t rows, int cols, int logarithm, int vectors), \
         RowThreads<kThreads>::kBlock) {                                                                                           \
    if (vectors) {                                                                                                                 \
      softmax_forward<T, kVecLength<T>, kThreads>(y, y_stride, x, x_stride, rows, cols, logarithm != 0);                           \
    } else {                                                                                                                       \
      softmax_forward<T, 1, kThreads>(y, y_stride, x, x_stride, rows, cols, logarithm != 0);                                       \
    }                                                                                                                              \
  }                                                                                                                                \
  KERNEL(softmax_backward_##name##suffix,                                                                                          \
         (T * dx, int64_t dx_stride, int accumulate, const T* dy, int64_t dy_stride, const T* y, int64_t y_stride, int64_t rows, int cols, int logarithm, \
          int vectors),                                                                                                            \
         RowThreads<kThreads>::kBlock) {                                                                                           \
    if (vectors) {                                                                                                                 \
      softmax_backward<T, kVecLength<T>, kThreads>(dx, dx_stride, accumulate != 0, dy, dy_stride, y, y_stride, rows, cols, logarithm != 0); \
    } else {                                                                                                                       \
      softmax_backward<T, 1, kThreads>(dx, dx_stride, accumulate != 0, dy, dy_stride, y, y_stride, rows, cols, logarithm != 0);    \
    }                                                                                                                              \
  }
#define INSTANCES(T, suffix)    \
  INSTANCE(T, suffix, , kWarp)  \
  INSTANCE(T, suffix, long_, kLong)
INSTANCES(float, f32)
INSTANCES(bf16, bf16)
INSTANCES(f16, f16)
