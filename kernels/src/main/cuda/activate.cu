// activate.cu — y = f(x),  dx (+)= dy·f'(x)          formulas and sources: activation.cuh
// Tiling: a thread per 16 bytes of a row (per element where rows are not aligned), 256 threads a block; rows that lie
//   without gaps are passed as one. f is an argument: one branch for all elements of a thread.
// Traffic (n elements, s bytes each): forward 2·n·s, backward 3·n·s.  FLOPs: 10 to 40 an element, so memory bound.
// Measured: not yet.
#include "activation.cuh"
#include "row.cuh"

// Units of N elements: `cols` of them in a row, `count` in all.
template <class T, int N>
__device__ void activate_forward(T* y, int64_t y_stride, const T* x, int64_t x_stride, int64_t count, int64_t cols, Activation f) {
  int64_t unit = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;  // elements may pass 2^31
  if (unit >= count) return;
  int64_t row = unit / cols, at = (unit - row * cols) * N;
  float v[N];
  load_floats(v, x + row * x_stride + at);
  with_activation(f, [&](auto g) {
#pragma unroll
    for (int i = 0; i < N; i++) v[i] = activation_value(g, v[i]);
  });
  store_floats(y + row * y_stride + at, v);
}

template <class T, int N>
__device__ void activate_backward(T* dx, int64_t dx_stride, bool accumulate, const T* dy, int64_t dy_stride, const T* x, int64_t x_stride, int64_t count,
                                  int64_t cols, Activation f) {
  int64_t unit = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (unit >= count) return;
  int64_t row = unit / cols, at = (unit - row * cols) * N;
  float v[N], d[N];
  load_floats(v, x + row * x_stride + at);
  load_floats(d, dy + row * dy_stride + at);
  with_activation(f, [&](auto g) {
#pragma unroll
    for (int i = 0; i < N; i++) d[i] *= activation_derivative(g, v[i]);
  });
  emit_floats(dx + row * dx_stride + at, d, accumulate);
}

// The host says whether the rows can be read in vectors: it sized the grid by that.
#define INSTANCE(T, suffix)                                                                                                       \
  KERNEL(activate_forward_##suffix, (T * y, int64_t y_stride, const T* x, int64_t x_stride, int64_t count, int64_t cols, int vectors, int f), 256) { \
    if (vectors) {                                                                                                                \
      activate_forward<T, kVecLength<T>>(y, y_stride, x, x_stride, count, cols, Activation(f));                                   \
    } else {                                                                                                                      \
      activate_forward<T, 1>(y, y_stride, x, x_stride, count, cols, Activation(f));                                               \
    }                                                                                                                             \
  }                                                                                                                               \
  KERNEL(activate_backward_##suffix,                                                                                              \
         (T * dx, int64_t dx_stride, int accumulate, const T* dy, int64_t dy_stride, const T* x, int64_t x_stride, int64_t count, int64_t cols, int vectors, int f), \
         256) {                                                                                                                   \
    if (vectors) {                                                                                                                \
      activate_backward<T, kVecLength<T>>(dx, dx_stride, accumulate != 0, dy, dy_stride, x, x_stride, count, cols, Activation(f)); \
    } else {                                                                                                                      \
      activate_backward<T, 1>(dx, dx_stride, accumulate != 0, dy, dy_stride, x, x_stride, count, cols, Activation(f));            \
    }                                                                                                                             \
  }
INSTANCE(float, f32)
INSTANCE(bf16, bf16)
INSTANCE(f16, f16)
