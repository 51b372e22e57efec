// lamb.cu — m ← β1·m + (1-β1)·g,  v ← β2·v + (1-β2)·g²,  u = m/(1-β1^t) / (sqrt(v/(1-β2^t)) + ε) + decay·w,  g = grad·scale
//   w ← w - lr·|w|/|u|·u,  the norms over one parameter, their ratio 1 where either is 0;  grad ← 0     You et al. 2019, arXiv:1904.00962
// Tiling: a segment is one parameter. Phase 1 moves the moments; a row of blocks per segment, and of each block a double
//   for both norms. Phase 2, a block per segment adds them in a fixed order. Phase 3 is update.cuh's, and computes u again
//   from m, v and w: cheaper than a buffer for it. The blocks depend on the sizes alone: the same bits on every run.
// Traffic: 24 bytes an element in phase 1, 36 in phase 3, 2 more for a half copy of the weights.  FLOPs: ~30 an element, so memory bound.
// Measured: not yet.
#include "update.cuh"

constexpr int kNorms = 2;  // of w and u

struct Lamb {
  static constexpr int kKept = 2;  // m, v
  float rate;                      // lr, after phase 2 times the trust ratio
  float decay, beta1, beta2, eps;
  float bias1;      // 1 / (1 - β1^t)
  float root_bias;  // 1 / sqrt(1 - β2^t)

  __device__ __forceinline__ float direction(float w, float m, float v) const { return m * bias1 / (sqrtf(v) * root_bias + eps) + decay * w; }
  __device__ __forceinline__ void operator()(float& w, float, float (&kept)[kKept]) const { w -= rate * direction(w, kept[0], kept[1]); }
};

KERNEL(lamb_constants, (Lamb * rules, const StepState* s, Segments segments, int count, float beta1, float beta2, float eps), 32) {
  int i = threadIdx.x;
  if (i >= count) return;
  double t = s->applied_steps;
  rules[i].rate = static_cast<float>(segment_rate(s, segments, i));
  rules[i].decay = static_cast<float>(segments.weight_decay[i]);
  rules[i].beta1 = beta1;
  rules[i].beta2 = beta2;
  rules[i].eps = eps;
  rules[i].bias1 = static_cast<float>(1.0 / (1.0 - pow(double(beta1), t)));
  rules[i].root_bias = static_cast<float>(1.0 / sqrt(1.0 - pow(double(beta2), t)));
}

template <int N, class T>
__device__ __forceinline__ void move_moments(const Buffers<T>& b, int64_t i, const Lamb& rule, float scale, double (&norms)[kNorms]) {
  float w[N], g[N], m[N], v[N];
  load_weights(w, b, i);
  load_floats(g, b.grad + i);
  load_floats(m, b.kept[0] + i);
  load_floats(v, b.kept[1] + i);
#pragma unroll
  for (int k = 0; k < N; k++) {
    float gk = g[k] * scale;
    m[k] += (1.0f - rule.beta1) * (gk - m[k]);
    v[k] = rule.beta2 * v[k] + (1.0f - rule.beta2) * (gk * gk);
    double u = rule.direction(w[k], m[k], v[k]);
    norms[0] += double(w[k]) * w[k];
    norms[1] += u * u;
  }
  store_floats(b.kept[0] + i, m);
  store_floats(b.kept[1] + i, v);
}

template <class T>
__device__ __forceinline__ void moments(const Buffers<T>& b, const Lamb* rules, const StepState* s, const Segments& segments, double* partial) {
  if (s->overflow) return;
  int64_t from = segments.from[blockIdx.y], to = segments.to[blockIdx.y];
  int64_t stride = 4 * int64_t{gridDim.x} * kUpdateThreads;
  bool vectors = in_vectors(b, from, Lamb::kKept);
  Lamb rule = rules[blockIdx.y];
  float scale = s->grad_scale;
  double norms[kNorms] = {};
#pragma unroll 1
  for (int64_t i = from + 4 * (int64_t{blockIdx.x} * kUpdateThreads + threadIdx.x); i < to; i += stride) {
    if (vectors && i + 4 <= to) {
      move_moments<4>(b, i, rule, scale, norms);
    } else {
#pragma unroll 1
      for (int64_t k = i; k < to && k < i + 4; k++) move_moments<1>(b, k, rule, scale, norms);
    }
  }
  double* ours = partial + (int64_t{blockIdx.y} * gridDim.x + blockIdx.x) * kNorms;
  for (int k = 0; k < kNorms; k++) {
    double sum = block_sum_double<kUpdateThreads>(norms[k]);
    if (threadIdx.x == 0) ours[k] = sum;
  }
}

KERNEL(lamb_trust, (Lamb * rules, const StepState* s, const double* partial, int blocks), kUpdateThreads) {
  if (s->overflow) return;
  double norms[kNorms] = {};
  for (int i = threadIdx.x; i < blocks; i += kUpdateThreads) {
    for (int k = 0; k < kNorms; k++) norms[k] += partial[(int64_t{blockIdx.x} * blocks + i) * kNorms + k];
  }
  for (int k = 0; k < kNorms; k++) norms[k] = block_sum_double<kUpdateThreads>(norms[k]);
  if (threadIdx.x == 0 && norms[0] > 0 && norms[1] > 0) rules[blockIdx.x].rate *= static_cast<float>(sqrt(norms[0] / norms[1]));
}

#define MOMENTS(T, suffix)                                                                                                                    \
  KERNEL(lamb_moments_##suffix,                                                                                                               \
         (T * copy, float* w, float* grad, float* m, float* v, const Lamb* rules, const StepState* s, Segments segments, double* partial), kUpdateThreads) { \
    moments(Buffers<T>{copy, w, grad, {m, v}, 0, nullptr}, rules, s, segments, partial);                                                      \
  }
MOMENTS(float, f32)
MOMENTS(bf16, bf16)
MOMENTS(f16, f16)

UPDATE(lamb, Lamb)
