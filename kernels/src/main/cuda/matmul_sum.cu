// matmul_sum.cu — c (+)= f(Σ_p partial[p] + bias): the second pass of products whose k was cut into parts, and of fp32
//   products with an activation (one part: c itself)
// Tiling: a thread per 4 neighbours of a row, which adds the parts in their order: the bits do not depend on when the
//   blocks of the first pass ran.
// Traffic: 4·parts·m·n + s·m·n bytes (s = bytes per element of c).  FLOPs: parts·m·n, memory bound.
// Measured: not yet.
#include "matmul.cuh"

// partial[p] is [batch, m, n], rows partial_stride elements apart; p.n and p.m as those of c.
template <class T>
__device__ __forceinline__ void matmul_sum(const Product<T, T>& p, const float* partial, int parts, int64_t partial_part, int64_t partial_batch, int64_t partial_stride) {
  int in_row = (p.n + 3) / 4;
  int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;  // m·n may pass 2^31
  int row = static_cast<int>(i / in_row), col = static_cast<int>(i % in_row) * 4;
  if (i >= int64_t{p.m} * in_row) return;
  const float* from = partial + blockIdx.y * partial_batch + row * partial_stride + col;
  int count = min(4, p.n - col);
  Sums<1> sum{{load_up_to_4(from, count)}, col, count, 1, 1};
  for (int part = 1; part < parts; part++) {
    auto next = load_up_to_4(from + part * partial_part, count);
#pragma unroll
    for (int e = 0; e < 4; e++) sum.v[0][e] += next[e];
  }
  finish<true>(p, p.c + blockIdx.y * p.c_batch, row, sum);
}

#define INSTANCE(T, suffix)                                                                                                                              \
  KERNEL(matmul_sum_##suffix,                                                                                                                            \
         (T * c, const float* partial, int parts, int64_t partial_part, int64_t partial_batch, int64_t partial_stride, int m, int n, int64_t c_stride, \
          int64_t c_batch, int accumulate, const T* bias, T* z, int64_t z_stride, int activation),                                                      \
         256) {                                                                                                                                          \
    Product<T, T> p{c, nullptr, nullptr, m, n, 0, c_stride, 0, 0, c_batch, 0, 0, 0, 0, accumulate != 0, bias, z, z_stride, activation};                  \
    matmul_sum(p, partial, parts, partial_part, partial_batch, partial_stride);                                                                          \
  }
INSTANCE(float, f32)
INSTANCE(bf16, bf16)
INSTANCE(f16, f16)
