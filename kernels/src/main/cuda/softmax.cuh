// softmax.cuh: the largest of some numbers and the sum of e^(x - max) over them, in one pass: when the maximum rises, the
// sum so far is scaled down. Milakov & Gimelshein 2018, arXiv:1805.02867.
#pragma once
#include "row.cuh"

// e^x for x ≤ 0 in two instructions; the product is rounded, so the relative error is about 2^-22 + |x|·2^-24.
__device__ __forceinline__ float exponential(float x) { return exp2_approx(1.442695041f * x); }

struct Exponentials {
  float max = -INFINITY;
  float sum = 0;

  template <int N>
  __device__ __forceinline__ void add(const float (&x)[N]) {
    float highest = max;
#pragma unroll
    for (int i = 0; i < N; i++) highest = fmaxf(highest, x[i]);
    float base = finite(highest);
    sum *= exponential(max - base);
#pragma unroll
    for (int i = 0; i < N; i++) sum += exponential(x[i] - base);
    max = highest;
  }

  // Over the threads of a row. A row of nothing but -∞ gives NaN, as 0/0 is.
  template <class Threads>
  __device__ __forceinline__ void reduce() {
    float highest = Threads::max(max);
    sum = Threads::sum(sum * exponential(max - finite(highest)));
    if (highest == -INFINITY) sum = NAN;
    max = highest;
  }

  // -∞ - -∞ is no number, but -∞ - 0 is, and its exponential 0.
  __device__ __forceinline__ static float finite(float max) { return max == -INFINITY ? 0.0f : max; }
};
