// max.cu — index[r] = argmax_c x[r, c], the first of equals, NaN counting as largest; y[r] = x[r, index[r]]
//   dx[r, index[r]] += dy[r]
// Tiling: a warp per row, lanes at neighbouring columns; the better of two candidates is a total order, so the tree of
//   lanes gives what a loop would. Backward: a thread per row.
// Traffic (s bytes an element): forward R·C·s + R·(s + 4), backward R·(3·s + 4).  FLOPs: R·C comparisons.
// Measured: not yet.
#include "row.cuh"

struct Candidate {
  float value;
  int index;
  __device__ __forceinline__ bool beats(Candidate o) const {
    if (isnan(value) != isnan(o.value)) return isnan(value);
    if (value != o.value && !isnan(value)) return value > o.value;
    return index < o.index;
  }
};

template <class T>
__device__ void max_forward(T* y, int* index, const T* x, int64_t stride, int64_t rows, int cols) {
  int64_t row = int64_t{blockIdx.x} * kRowWarps + warp_index();
  if (row >= rows) return;
  x += row * stride;
  Candidate best{-INFINITY, cols};  // loses against every column
  for (int c = lane_index(); c < cols; c += kWarp) {
    Candidate next{to_float(x[c]), c};
    if (next.beats(best)) best = next;
  }
  for (int step = 16; step != 0; step /= 2) {
    Candidate other;
    other.value = __shfl_xor_sync(0xffffffffu, best.value, step);
    other.index = __shfl_xor_sync(0xffffffffu, best.index, step);
    if (other.beats(best)) best = other;
  }
  if (lane_index() != 0) return;
  index[row] = best.index;
  y[row] = x[best.index];
}

template <class T>
__device__ void max_backward(T* dx, int64_t stride, const T* dy, const int* index, int64_t rows) {
  int64_t row = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  T* d = dx + row * stride + index[row];
  *d = from_float<T>(to_float(*d) + to_float(dy[row]));
}

#define INSTANCE(T, suffix)                                                                                       \
  KERNEL(max_forward_##suffix, (T * y, int* index, const T* x, int64_t stride, int64_t rows, int cols), kRowWarps * kWarp) { \
    max_forward(y, index, x, stride, rows, cols);                                                                 \
  }                                                                                                               \
  KERNEL(max_backward_##suffix, (T * dx, int64_t stride, const T* dy, const int* index, int64_t rows), 256) {     \
    max_backward(dx, stride, dy, index, rows);                                                                    \
  }
INSTANCE(float, f32)
INSTANCE(bf16, bf16)
INSTANCE(f16, f16)
