// fill.cu — y = value, n elements
// Tiling: a thread per element, grid-stride, so that any grid fills any n.
// Traffic: n·s bytes written (s = bytes per element).  FLOPs: none.
// Measured: not yet.
#include "common.cuh"

template <class T>
__device__ void fill(T* y, float value, int64_t n) {
  T v = from_float<T>(value);
  int64_t stride = int64_t{gridDim.x} * blockDim.x;  // n may pass 2^31
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) y[i] = v;
}

#define INSTANCE(T, suffix) \
  KERNEL(fill_##suffix, (T * y, float value, int64_t n), 256) { fill(y, value, n); }
INSTANCE(float, f32)
INSTANCE(bf16, bf16)
INSTANCE(f16, f16)
