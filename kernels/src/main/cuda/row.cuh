// row.cuh: some threads that work on one row together. A warp for short rows, of which a block holds several; a whole
// block for long ones. Sums and maxima run over these threads in a fixed order, and each of them has the result.
#pragma once
#include "common.cuh"

constexpr int kWarp = 32;
constexpr int kRowWarps = 4;  // rows, and warps, of a block where a warp has a row

// kThreads: 32, or those of the block.
template <int kThreads>
struct RowThreads {
  static constexpr int kBlock = kThreads == kWarp ? kRowWarps * kWarp : kThreads;
  static constexpr int kRowsPerBlock = kBlock / kThreads;

  __device__ __forceinline__ static int64_t first() {
    return kThreads == kWarp ? int64_t{blockIdx.x} * kRowsPerBlock + warp_index() : int64_t{blockIdx.x};
  }
  __device__ __forceinline__ static int rank() { return kThreads == kWarp ? lane_index() : static_cast<int>(threadIdx.x); }
  __device__ __forceinline__ static void barrier() {
    if constexpr (kThreads == kWarp) {
      __syncwarp();
    } else {
      __syncthreads();
    }
  }
  __device__ __forceinline__ static float sum(float v) {
    if constexpr (kThreads == kWarp) {
      return warp_sum(v);
    } else {
      return block_sum<kThreads>(v);
    }
  }
  __device__ __forceinline__ static float max(float v) {
    if constexpr (kThreads == kWarp) {
      return warp_max(v);
    } else {
      return block_max<kThreads>(v);
    }
  }
};

// N neighbours widened to fp32, and rounded back: one access where N > 1, which wants the address aligned to it. The
// eight of fp32 are two accesses of 16 bytes.
template <int N, class T>
__device__ __forceinline__ void load_floats(float (&to)[N], const T* p) {
  if constexpr (N == 1) {
    to[0] = to_float(*p);
  } else if constexpr (N * sizeof(T) > 16) {
    float (&low)[N / 2] = *reinterpret_cast<float (*)[N / 2]>(to);
    float (&high)[N / 2] = *reinterpret_cast<float (*)[N / 2]>(to + N / 2);
    load_floats(low, p);
    load_floats(high, p + N / 2);
  } else {
    auto v = load_vec<N>(p);
#pragma unroll
    for (int i = 0; i < N; i++) to[i] = to_float(v[i]);
  }
}
template <int N, class T>
__device__ __forceinline__ void store_floats(T* p, const float (&from)[N]) {
  if constexpr (N == 1) {
    *p = from_float<T>(from[0]);
  } else if constexpr (N * sizeof(T) > 16) {
    store_floats(p, *reinterpret_cast<const float (*)[N / 2]>(from));
    store_floats(p + N / 2, *reinterpret_cast<const float (*)[N / 2]>(from + N / 2));
  } else {
    Vec<T, N> v;
#pragma unroll
    for (int i = 0; i < N; i++) v[i] = from_float<T>(from[i]);
    store_vec(p, v);
  }
}
// What a gradient's destination gets: the value, or the sum with what is there.
template <int N, class T>
__device__ __forceinline__ void emit_floats(T* p, float (&v)[N], bool accumulate) {
  if (accumulate) {
    float before[N];
    load_floats(before, p);
#pragma unroll
    for (int i = 0; i < N; i++) v[i] += before[i];
  }
  store_floats(p, v);
}

// Whether rows that begin at p, so many elements apart, can all be read in vectors of 16 bytes. A null pointer can.
template <class T>
__device__ __forceinline__ bool rows_aligned(const T* p, int64_t stride) {
  return is_aligned(p, 16) && stride % kVecLength<T> == 0;
}
