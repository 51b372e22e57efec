// bias_gradient.cu — db[c] (+)= Σ_r dy[r,c], db fp32
// Tiling: a block takes 32 vectors of 16 bytes of a row (256 columns of a half type) and a part of the rows, which its
//   8 warps share, every 8th row each, eight of them under way at a time; their sums meet in shared memory in the warps'
//   order. More than one part: partial_sum adds these in a fixed order. No atomics: the same bits on every run.
// Traffic (s = bytes per element): R·C·s + 8·parts·C.  FLOPs: R·C, memory bound.
// Measured: not yet.
#include "row.cuh"

constexpr int kWarps = 8;
constexpr int kUnderWay = 8;  // rows that a warp reads at a time: two blocks a multiprocessor are few

template <class T>
__device__ __forceinline__ void bias_gradient(float* db, int64_t db_part, bool accumulate, const T* dy, int64_t dy_stride, int rows, int cols, int part_rows) {
  constexpr int N = kVecLength<T>;
  __shared__ float partial[kWarps][32 * N];
  int col = (static_cast<int>(blockIdx.x) * 32 + lane_index()) * N;
  int row = static_cast<int>(blockIdx.y) * part_rows + warp_index(), row_end = min(rows, (static_cast<int>(blockIdx.y) + 1) * part_rows);
  float sums[N] = {};
  auto add = [&](const Packed<T, N>& packed) {
    float v[N];
    unpack<T>(v, packed);
#pragma unroll
    for (int i = 0; i < N; i++) sums[i] += v[i];
  };
  dy += col;
  if (col + N <= cols && is_aligned(dy, 16) && dy_stride % N == 0) {
    for (; row + (kUnderWay - 1) * kWarps < row_end; row += kUnderWay * kWarps) {
      Packed<T, N> v[kUnderWay];
#pragma unroll
      for (int k = 0; k < kUnderWay; k++) v[k] = load_packed<N>(dy + (row + k * kWarps) * dy_stride);  // 64-bit: row·stride may pass 2^31
#pragma unroll
      for (int k = 0; k < kUnderWay; k++) add(v[k]);
    }
    for (; row < row_end; row += kWarps) add(load_packed<N>(dy + row * dy_stride));
  } else {
    for (; row < row_end; row += kWarps) {
#pragma unroll
      for (int i = 0; i < N; i++) {
        if (col + i < cols) sums[i] += to_float(dy[row * dy_stride + i]);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < N; i++) partial[warp_index()][i * 32 + lane_index()] = sums[i];  // lanes side by side: no bank twice
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < 32 * N; i += 32 * kWarps) {
    int to = (static_cast<int>(blockIdx.x) * 32 + i % 32) * N + i / 32;
    if (to >= cols) continue;
    float sum = partial[0][i];
#pragma unroll
    for (int w = 1; w < kWarps; w++) sum += partial[w][i];
    float* at = db + blockIdx.y * db_part + to;
    *at = accumulate ? *at + sum : sum;
  }
}

#define INSTANCE(T, suffix)                                                                                                                          \
  KERNEL(bias_gradient_##suffix, (float* db, int64_t db_part, int accumulate, const T* dy, int64_t dy_stride, int rows, int cols, int part_rows), 256, 2) { \
    bias_gradient(db, db_part, accumulate != 0, dy, dy_stride, rows, cols, part_rows);                                                              \
  }
INSTANCE(float, f32)
INSTANCE(bf16, bf16)
INSTANCE(f16, f16)
