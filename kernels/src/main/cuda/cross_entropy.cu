// cross_entropy.cu — with lse = ln Σ_v e^x[v], target t, smoothing s and z-loss factor z, x under a soft cap c·tanh(x/c)
//   loss = (1-s)·(lse - x[t]) + s·(lse - mean x) + z·lse²
//   dx[v] (+)= dy·((1 + 2·z·lse)·p[v] - s/V - (1-s)·[v = t]),  p = e^(x - lse),  times 1 - (x/c)² under a cap
//   Smoothing: Szegedy et al. 2015, arXiv:1512.00567; z-loss: Chowdhery et al. 2022, arXiv:2204.02311.
// A row with the ignored target has loss and gradient 0. A target outside of the vocabulary gives NaN: it is seen in the
//   loss, and nothing is read beyond the row.
// Tiling: a warp per row up to 1024 columns, 4 rows a block; beyond, a block of 512 threads per row. Forward is one pass
//   (cross_entropy.cuh); max and Σ e^(x - max) are kept for backward, two numbers, because one rounded lse would spoil the
//   gradient of large logits. Rows need not be aligned: the columns before the first 16-byte boundary and behind the last
//   one are taken one by one, since vocabularies are odd (50257).
// Traffic (s bytes an element): forward R·V·s, backward 2·R·V·s, also in place.  FLOPs: ~10 an element, so memory bound.
// Measured: not yet.
#include "cross_entropy.cuh"

constexpr int kLong = 512;

template <class T, int kThreads>
__device__ void cross_entropy_forward(float* losses, float* stats, const T* x, int64_t stride, const int* targets, int64_t rows, int cols, Form form) {
  int64_t row = RowThreads<kThreads>::first();
  if (row >= rows) return;
  row_loss<kThreads>(losses + row, stats + 2 * row, x + row * stride, targets[row], cols, form, [](int, const auto&) {});
}

template <class T, int kThreads>
__device__ void cross_entropy_backward(T* dx, int64_t dx_stride, bool accumulate, const float* dy, const T* x, int64_t stride, const int* targets,
                                       const float* stats, int64_t rows, int cols, Form form) {
  constexpr int N = kVecLength<T>;
  using Threads = RowThreads<kThreads>;
  int64_t row = Threads::first();
  if (row >= rows) return;
  LogitGradient gradient(dy[row], stats[2 * row], stats[2 * row + 1], targets[row], cols, form);
  if (gradient.ignored && accumulate) return;
  x += row * stride;
  dx += row * dx_stride;
  auto one = [&](int at) {
    float v[1] = {to_float(x[at])};
    gradient(v, at);
    emit_floats(dx + at, v, accumulate);
  };
  int before = columns_before_vectors(x, cols);
  int vectors = columns_before_vectors(dx, cols) == before ? (cols - before) / N : 0;
  if (Threads::rank() < before) one(Threads::rank());
  for (int unit = Threads::rank(); unit < vectors; unit += kThreads) {
    int at = before + unit * N;
    float v[N];
    load_floats(v, x + at);
    gradient(v, at);
    emit_floats(dx + at, v, accumulate);
  }
  for (int at = before + vectors * N + Threads::rank(); at < cols; at += kThreads) one(at);
}

#define INSTANCE(T, suffix, name, kThreads)                                                                                                \
  KERNEL(cross_entropy_forward_##name##suffix,                                                                                             \
         (float* losses, float* stats, const T* x, int64_t stride, const int* targets, int64_t rows, int cols, int ignore_index, float smoothing, \
          float z_loss, float soft_cap),                                                                                                   \
         RowThreads<kThreads>::kBlock) {                                                                                                   \
    cross_entropy_forward<T, kThreads>(losses, stats, x, stride, targets, rows, cols, Form{ignore_index, smoothing, z_loss, soft_cap});    \
  }                                                                                                                                        \
  KERNEL(cross_entropy_backward_##name##suffix,                                                                                            \
         (T * dx, int64_t dx_stride, int accumulate, const float* dy, const T* x, int64_t stride, const int* targets, const float* stats, int64_t rows, \
          int cols, int ignore_index, float smoothing, float z_loss, float soft_cap),                                                      \
         RowThreads<kThreads>::kBlock) {                                                                                                   \
    cross_entropy_backward<T, kThreads>(dx, dx_stride, accumulate != 0, dy, x, stride, targets, stats, rows, cols,                         \
                                        Form{ignore_index, smoothing, z_loss, soft_cap});                                                  \
  }
#define INSTANCES(T, suffix)    \
  INSTANCE(T, suffix, , kWarp)  \
  INSTANCE(T, suffix, long_, kLong)
INSTANCES(float, f32)
INSTANCES(bf16, bf16)
INSTANCES(f16, f16)
