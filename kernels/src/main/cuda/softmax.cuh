// softmax.cuh: the largest of some numbers and the sum of e^(x - max) over them, in one pass: when the maximum rises, the
// sum so far is scaled down. Milakov & Gimelshein 2018, arXiv:1805.02867.
#pragma once
#include "row.cuh"

struct Exponentials {
  float max = -INFINITY;
  float sum = 0;

  template <int N>
  __device__ __forceinline__ void add(const float (&x)[N]) {
    float highest = max;
#pragma unroll
    for (int i = 0; i < N; i++) highest = fmaxf(highest, x[i]);
    sum *= scale(max, highest);
#pragma unroll
    for (int i = 0; i < N; i++) sum += term(x[i], highest);
    max = highest;
  }

  // Over the threads of a row. A row of nothing but -∞ gives NaN, as 0/0 is.
  template <class Threads>
  __device__ __forceinline__ void reduce() {
    float highest = Threads::max(max);
    sum = Threads::sum(sum * scale(max, highest));
    if (highest == -INFINITY) sum = NAN;
    max = highest;
  }

  // -∞ - -∞ is no number, but nothing is there to be scaled.
  __device__ __forceinline__ static float scale(float from, float to) { return from == -INFINITY ? 1.0f : expf(from - to); }
  __device__ __forceinline__ static float term(float x, float max) { return x == -INFINITY ? 0.0f : expf(x - max); }
};
