// norm.cuh: what the normalisations of rows share.
#pragma once
#include "row.cuh"

constexpr int kLong = 256;  // threads of a block that has a long row

// A gradient's destination, null where nobody wants it.
template <class T>
struct Destination {
  T* data;
  int64_t stride;
  bool accumulate;
};

// What is normalised: neighbours of x, or of the sum x + h, which is written and then is what it was rounded to.
template <int N, class T>
__device__ __forceinline__ void load_summed(float (&v)[N], T* sum, const T* x, const T* h) {
  load_floats(v, x);
  if (h == nullptr) return;
  float added[N];
  load_floats(added, h);
#pragma unroll
  for (int i = 0; i < N; i++) v[i] = to_float(from_float<T>(v[i] + added[i]));
  store_floats(sum, v);
}

// A share's row of partial sums, from column `from` on: zeros, to which its rows are added one by one.
template <int kThreads>
__device__ __forceinline__ void clear_partial(float* row, int from, int cols) {
  for (int at = from + RowThreads<kThreads>::rank(); at < cols; at += kThreads) row[at] = 0;
}
template <int kThreads>
__device__ __forceinline__ void sync_row() {
  if constexpr (kThreads == kWarp) {
    __syncwarp();
  } else {
    __syncthreads();
  }
}
template <int N>
__device__ __forceinline__ void add_partial(float* p, const float (&v)[N]) {
  float before[N];
  load_floats(before, p);
#pragma unroll
  for (int i = 0; i < N; i++) before[i] += v[i];
  store_floats(p, before);
}
