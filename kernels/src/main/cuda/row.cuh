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

// N neighbours as they lie in memory, in words: fewer registers than fp32 takes. A single one is in the lower half.
template <class T, int N>
using Packed = Vec<uint32_t, (N * sizeof(T) + 3) / 4>;

// One access, which wants the address aligned to it.
template <int N, class T>
__device__ __forceinline__ Packed<T, N> load_packed(const T* p) {
  if constexpr (N * sizeof(T) < 4) {
    return {{*reinterpret_cast<const uint16_t*>(p)}};
  } else {
    return load_vec<Packed<T, N>::kLength>(reinterpret_cast<const uint32_t*>(p));
  }
}
template <int N, class T>
__device__ __forceinline__ void store_packed(T* p, const Packed<T, N>& v) {
  if constexpr (N * sizeof(T) < 4) {
    *reinterpret_cast<uint16_t*>(p) = static_cast<uint16_t>(v[0]);
  } else {
    store_vec_global(reinterpret_cast<uint32_t*>(p), v);
  }
}
template <class T, int N>
__device__ __forceinline__ void unpack(float (&to)[N], const Packed<T, N>& v) {
#pragma unroll
  for (int i = 0; i < N; i++) to[i] = unpack<T>(v[i * sizeof(T) / 4], i % 2);
}
template <class T, int N>
__device__ __forceinline__ Packed<T, N> packed(const float (&from)[N]) {
  Packed<T, N> v;
#pragma unroll
  for (int i = 0; i < Packed<T, N>::kLength; i++) {
    if constexpr (sizeof(T) == 4) {
      v[i] = __float_as_uint(from[i]);
    } else {
      v[i] = pack<T>(from[2 * i], 2 * i + 1 < N ? from[(2 * i + 1) % N] : 0.0f);
    }
  }
  return v;
}

// N neighbours widened to fp32, and rounded back to global memory. The eight of fp32 are two accesses of 16 bytes.
template <int N, class T>
__device__ __forceinline__ void load_floats(float (&to)[N], const T* p) {
  if constexpr (N * sizeof(T) > 16) {
    load_floats(*reinterpret_cast<float (*)[N / 2]>(to), p);
    load_floats(*reinterpret_cast<float (*)[N / 2]>(to + N / 2), p + N / 2);
  } else {
    unpack<T>(to, load_packed<N>(p));
  }
}
template <int N, class T>
__device__ __forceinline__ void store_floats(T* p, const float (&from)[N]) {
  if constexpr (N * sizeof(T) > 16) {
    store_floats(p, *reinterpret_cast<const float (*)[N / 2]>(from));
    store_floats(p + N / 2, *reinterpret_cast<const float (*)[N / 2]>(from + N / 2));
  } else {
    store_packed<N>(p, packed<T>(from));
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
