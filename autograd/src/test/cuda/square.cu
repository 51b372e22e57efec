// square.cu — y = x²,  dx (+)= 2·x·dy
// Tiling: a thread per 16 bytes of a row (per element where rows are not aligned), 256 threads a block.
// Traffic (n elements of s bytes): forward 2·n·s, backward 3·n·s. FLOPs: 1 and 2 an element, so memory bound.
// Measured: not yet.
#include "row.cuh"

template <class T, int N>
__device__ void square_forward(T* y, int64_t y_stride, const T* x, int64_t x_stride, int64_t count, int64_t cols) {
  int64_t unit = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;  // elements may pass 2^31
  if (unit >= count) return;
  int64_t row = unit / cols, at = (unit - row * cols) * N;
  float v[N];
  load_floats(v, x + row * x_stride + at);
#pragma unroll
  for (int i = 0; i < N; i++) v[i] *= v[i];
  store_floats(y + row * y_stride + at, v);
}

template <class T, int N>
__device__ void square_backward(T* dx, int64_t dx_stride, bool add, const T* dy, int64_t dy_stride, const T* x, int64_t x_stride, int64_t count,
                                int64_t cols) {
  int64_t unit = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (unit >= count) return;
  int64_t row = unit / cols, at = (unit - row * cols) * N;
  float v[N], d[N];
  load_floats(v, x + row * x_stride + at);
  load_floats(d, dy + row * dy_stride + at);
#pragma unroll
  for (int i = 0; i < N; i++) v[i] = 2 * v[i] * d[i];
  emit_floats(dx + row * dx_stride + at, v, add);
}

#define INSTANCE(T, suffix)                                                                                                         \
  KERNEL(square_forward_##suffix, (T * y, int64_t y_stride, const T* x, int64_t x_stride, int64_t count, int64_t cols, int vectors), 256) { \
    if (vectors) {                                                                                                                  \
      square_forward<T, kVecLength<T>>(y, y_stride, x, x_stride, count, cols);                                                      \
    } else {                                                                                                                        \
      square_forward<T, 1>(y, y_stride, x, x_stride, count, cols);                                                                  \
    }                                                                                                                               \
  }                                                                                                                                 \
  KERNEL(square_backward_##suffix,                                                                                                  \
         (T * dx, int64_t dx_stride, int add, const T* dy, int64_t dy_stride, const T* x, int64_t x_stride, int64_t count, int64_t cols, int vectors), \
         256) {                                                                                                                     \
    if (vectors) {                                                                                                                  \
      square_backward<T, kVecLength<T>>(dx, dx_stride, add != 0, dy, dy_stride, x, x_stride, count, cols);                          \
    } else {                                                                                                                        \
      square_backward<T, 1>(dx, dx_stride, add != 0, dy, dy_stride, x, x_stride, count, cols);                                      \
    }                                                                                                                               \
  }
INSTANCE(float, f32)
INSTANCE(bf16, bf16)
INSTANCE(f16, f16)
