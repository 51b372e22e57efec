// adam_w.cu — m ← β1·m + (1-β1)·g,  v ← β2·v + (1-β2)·g²,  g = grad·scale
//   w ← w·(1 - lr·decay) - lr·m/(1-β1^t) / (sqrt(v/(1-β2^t)) + ε),  grad ← 0          Loshchilov & Hutter 2017, arXiv:1711.05101
// What changes from step to step (lr, t, the scale of the gradients, whether to skip) is read from StepState, so that a
//   recorded graph repeats the step. A skipped step clears the gradients and changes nothing else.
// Tiling: phase 1, one thread per segment of the buffer does the double arithmetic that all its elements share; phase
//   2, a thread per 4 elements, grid-stride, one row of blocks per segment.
// Traffic: 32 bytes an element (reads w, m, v, grad, writes them), 2 more for a half copy of the weights.
//   FLOPs: ~15 an element, so memory bound.
// Measured: not yet.
#include "row.cuh"
#include "segments.cuh"

struct Constants {
  float decay;      // 1 - lr·weight_decay
  float step_size;  // lr / (1 - β1^t)
  float root_bias;  // 1 / sqrt(1 - β2^t)
};
static_assert(sizeof(Constants) <= kConstantsBytes);

KERNEL(adam_w_constants, (Constants * c, const StepState* s, Segments segments, int count, float beta1, float beta2, float), 32) {
  int i = threadIdx.x;
  if (i >= count) return;
  double lr = double(s->learning_rate) * segments.lr_scale[i];
  double t = s->applied_steps;
  c[i].decay = static_cast<float>(1.0 - lr * segments.weight_decay[i]);
  c[i].step_size = static_cast<float>(lr / (1.0 - pow(double(beta1), t)));
  c[i].root_bias = static_cast<float>(1.0 / sqrt(1.0 - pow(double(beta2), t)));
}

// half: a copy of the weights, written only; null where they are fp32 themselves.
template <class T, int N>
__device__ void update(T* half, float* w, float* m, float* v, float* grad, int64_t i, const Constants& c, float scale, float beta1, float beta2, float eps) {
  float wi[N], mi[N], vi[N], g[N];
  load_floats(wi, w + i);
  load_floats(mi, m + i);
  load_floats(vi, v + i);
  load_floats(g, grad + i);
#pragma unroll
  for (int k = 0; k < N; k++) {
    g[k] *= scale;
    mi[k] += (1.0f - beta1) * (g[k] - mi[k]);
    vi[k] = beta2 * vi[k] + (1.0f - beta2) * (g[k] * g[k]);
    wi[k] = wi[k] * c.decay - c.step_size * mi[k] / (sqrtf(vi[k]) * c.root_bias + eps);
    g[k] = 0;
  }
  store_floats(m + i, mi);
  store_floats(v + i, vi);
  store_floats(w + i, wi);
  store_floats(grad + i, g);
  if (half != nullptr) store_floats(half + i, wi);
}

template <class T>
__device__ void adam_w_step(T* half, float* w, float* m, float* v, float* grad, const Constants* constants, const StepState* s, const Segments& segments,
                            float beta1, float beta2, float eps) {
  int64_t from = segments.from[blockIdx.y], to = segments.to[blockIdx.y];
  int64_t stride = 4 * int64_t{gridDim.x} * blockDim.x;
  int64_t i = from + 4 * (int64_t{blockIdx.x} * blockDim.x + threadIdx.x);
  bool vectors = from % 4 == 0 && is_aligned(w, 16) && is_aligned(m, 16) && is_aligned(v, 16) && is_aligned(grad, 16) && is_aligned(half, 4 * sizeof(T));
  if (s->overflow) {
    for (; i < to; i += stride) {
      for (int64_t k = i; k < to && k < i + 4; k++) grad[k] = 0;
    }
    return;
  }
  Constants c = constants[blockIdx.y];
  float scale = s->grad_scale;
#pragma unroll 1
  for (; i < to; i += stride) {
    if (vectors && i + 4 <= to) {
      update<T, 4>(half, w, m, v, grad, i, c, scale, beta1, beta2, eps);
    } else {
#pragma unroll 1
      for (int64_t k = i; k < to && k < i + 4; k++) update<T, 1>(half, w, m, v, grad, k, c, scale, beta1, beta2, eps);
    }
  }
}

#define INSTANCE(T, suffix)                                                                                                               \
  KERNEL(adam_w_step_##suffix,                                                                                                            \
         (T * half, float* w, float* m, float* v, float* grad, const Constants* constants, const StepState* s, Segments segments, float beta1, float beta2, \
          float eps),                                                                                                                     \
         256) {                                                                                                                           \
    adam_w_step(half, w, m, v, grad, constants, s, segments, beta1, beta2, eps);                                                          \
  }
INSTANCE(float, f32)
INSTANCE(bf16, bf16)
INSTANCE(f16, f16)
