// update.cuh: the loop that all update rules share, so that a rule is its formula. A rule is a struct of what one segment's
// elements share; its kernel of constants fills one for each segment, and UPDATE makes the kernels that go over the elements:
//
//   struct Rule {
//     static constexpr int kKept = 2;                            buffers that it keeps from step to step, at most kMaxKept
//     float decay, …;
//     __device__ void operator()(float& w, float g, float (&kept)[kKept]) const { … }
//   };
//   KERNEL(rule_constants, (Rule * rules, const StepState* s, Segments segments, int count, float …), kMaxSegments) { … }
//   UPDATE(rule, Rule)
//
// What changes from step to step (rate, t, the scale of the gradients, whether to skip) is read from StepState, so that a
//   recorded graph repeats the step. A skipped step clears the gradients and changes nothing else.
// Tiling: a thread per 4 elements, grid-stride, one row of blocks per segment.
// Traffic: 8 bytes an element for each buffer that is kept and 16 for w and grad; 2 more for a half copy of the weights.
#pragma once
#include "row.cuh"
#include "segments.cuh"
#include "stochastic_rounding.cuh"

constexpr int kMaxKept = 3;
constexpr int kUpdateThreads = 256;
constexpr int kUpdateBlocks = 4;  // on a multiprocessor, at least: 64 registers; left to itself, ptxas aims at 32 and spills

__device__ __forceinline__ double segment_rate(const StepState* s, const Segments& segments, int i) {
  return double(s->learning_rate) * segments.lr_scale[i];
}

// The flat buffers. copy: of the weights, written only, or null where they are fp32 themselves; where w is null, the weights
// themselves. These are rounded by chance where `dice` is there, numbered from `first` on, otherwise to nearest. A buffer that
// is kept may be null: the rule sees 0 and what it leaves is lost.
template <class T>
struct Buffers {
  T* copy;
  float *w, *grad;
  float* kept[kMaxKept];
  int64_t first;
  const StepState* dice;
};

template <int N, class T>
__device__ __forceinline__ void load_weights(float (&w)[N], const Buffers<T>& b, int64_t i) {
  if (b.w != nullptr) {
    load_floats(w, b.w + i);
  } else {
    load_floats(w, b.copy + i);
  }
}
template <int N, class T>
__device__ __forceinline__ void store_weights(const Buffers<T>& b, int64_t i, const float (&w)[N]) {
  if (b.w != nullptr) {
    store_floats(b.w + i, w);
    if (b.copy != nullptr) store_floats(b.copy + i, w);
  } else if (b.dice == nullptr) {
    store_floats(b.copy + i, w);
  } else {
    store_stochastically(b.copy + i, b.first + i, w, b.dice);
  }
}
// Whether four neighbours from each fourth element of a segment on can be read, and rounded, at once.
template <class T>
__device__ __forceinline__ bool in_vectors(const Buffers<T>& b, int64_t from, int kept) {
  bool vectors = from % 4 == 0 && b.first % 4 == 0 && is_aligned(b.w, 16) && is_aligned(b.grad, 16) && is_aligned(b.copy, 4 * sizeof(T));
  for (int k = 0; k < kept; k++) vectors = vectors && is_aligned(b.kept[k], 16);
  return vectors;
}

template <int N, class T, class Rule>
__device__ __forceinline__ void update(const Buffers<T>& b, int64_t i, const Rule& rule, float scale) {
  float w[N], g[N], kept[Rule::kKept][N];
  load_weights(w, b, i);
  load_floats(g, b.grad + i);
#pragma unroll
  for (int k = 0; k < Rule::kKept; k++) {
    if (b.kept[k] != nullptr) load_floats(kept[k], b.kept[k] + i);
  }
#pragma unroll
  for (int j = 0; j < N; j++) {
    float own[Rule::kKept];
#pragma unroll
    for (int k = 0; k < Rule::kKept; k++) own[k] = b.kept[k] != nullptr ? kept[k][j] : 0.0f;
    rule(w[j], g[j] * scale, own);
#pragma unroll
    for (int k = 0; k < Rule::kKept; k++) kept[k][j] = own[k];
    g[j] = 0;
  }
#pragma unroll
  for (int k = 0; k < Rule::kKept; k++) {
    if (b.kept[k] != nullptr) store_floats(b.kept[k] + i, kept[k]);
  }
  store_weights(b, i, w);
  store_floats(b.grad + i, g);
}

template <class T, class Rule>
__device__ __forceinline__ void update_segment(const Buffers<T>& b, const Rule* rules, const StepState* s, const Segments& segments) {
  int64_t from = segments.from[blockIdx.y], to = segments.to[blockIdx.y];
  int64_t stride = 4 * int64_t{gridDim.x} * blockDim.x;
  int64_t i = from + 4 * (int64_t{blockIdx.x} * blockDim.x + threadIdx.x);
  if (s->overflow) {
    for (; i < to; i += stride) {
      for (int64_t k = i; k < to && k < i + 4; k++) b.grad[k] = 0;
    }
    return;
  }
  bool vectors = in_vectors(b, from, Rule::kKept);
  Rule rule = rules[blockIdx.y];
  float scale = s->grad_scale;
#pragma unroll 1
  for (; i < to; i += stride) {
    if (vectors && i + 4 <= to) {
      update<4>(b, i, rule, scale);
    } else {
#pragma unroll 1
      for (int64_t k = i; k < to && k < i + 4; k++) update<1>(b, k, rule, scale);
    }
  }
}

#define UPDATE_INSTANCE(name, Rule, T, suffix)                                                                                            \
  KERNEL(name##_step_##suffix,                                                                                                            \
         (T * copy, float* w, float* grad, float* a, float* b, float* c, const Rule* rules, const StepState* s, Segments segments, int64_t first, int stochastic), \
         kUpdateThreads, kUpdateBlocks) {                                                                                                 \
    update_segment(Buffers<T>{copy, w, grad, {a, b, c}, first, stochastic ? s : nullptr}, rules, s, segments);                            \
  }
#define UPDATE(name, Rule)                                               \
  static_assert(Rule::kKept <= kMaxKept && sizeof(Rule) <= kConstantsBytes); \
  UPDATE_INSTANCE(name, Rule, float, f32)                                \
  UPDATE_INSTANCE(name, Rule, bf16, bf16)                                \
  UPDATE_INSTANCE(name, Rule, f16, f16)
