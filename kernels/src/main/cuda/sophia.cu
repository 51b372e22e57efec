// sophia.cu — m ← β1·m + (1-β1)·g,  w ← w·(1 - lr·decay) - lr·clip(m / max(ρ·N·h, ε), -1, 1),  g = grad·scale,  grad ← 0
//   N: targets of the step.  From time to time, of a gradient with targets drawn from the model: h ← β2·h + (1-β2)·g²
//   Liu et al. 2023, arXiv:2305.14342, algorithms 2 (Gauss-Newton-Bartlett) and 3.
// Tiling: update.cuh; the estimate likewise, over all elements.
// Traffic: 32 bytes an element (h is read and written), 2 more for a half copy of the weights; the estimate 16.
//   FLOPs: ~10 an element, so memory bound.
// Measured: not yet.
#include "update.cuh"

struct Sophia {
  static constexpr int kKept = 2;  // m, h
  float decay, lr, beta1;          // decay: 1 - lr·weight_decay
  float curvature, eps;            // curvature: ρ·N

  __device__ __forceinline__ void operator()(float& w, float g, float (&kept)[kKept]) const {
    float &m = kept[0], h = kept[1];
    m = beta1 * m + (1.0f - beta1) * g;
    float ratio = m / fmaxf(curvature * h, eps);
    w = w * decay - lr * fminf(fmaxf(ratio, -1.0f), 1.0f);
  }
};

KERNEL(sophia_constants, (Sophia * rules, const StepState* s, Segments segments, int count, float beta1, float rho, float eps), 32) {
  int i = threadIdx.x;
  if (i >= count) return;
  double lr = segment_rate(s, segments, i);
  rules[i].decay = static_cast<float>(1.0 - lr * segments.weight_decay[i]);
  rules[i].lr = static_cast<float>(lr);
  rules[i].beta1 = beta1;
  rules[i].curvature = s->inverse_targets > 0.0f ? static_cast<float>(double(rho) / s->inverse_targets) : 0.0f;
  rules[i].eps = eps;
}

UPDATE(sophia, Sophia)

// Where g² is not finite, h stays.
KERNEL(sophia_estimate, (float* h, float* grad, const StepState* s, int64_t n, float beta2), kUpdateThreads) {
  float scale = 1.0f / s->loss_scale;
  int64_t stride = 4 * int64_t{gridDim.x} * kUpdateThreads;
  bool vectors = is_aligned(h, 16) && is_aligned(grad, 16);
  auto estimate = [=](float& hi, float& gi) {
    float g = gi * scale;
    float square = g * g;
    if (square < INFINITY) hi = beta2 * hi + (1.0f - beta2) * square;
    gi = 0;
  };
  for (int64_t i = 4 * (int64_t{blockIdx.x} * kUpdateThreads + threadIdx.x); i < n; i += stride) {
    if (vectors && i + 4 <= n) {
      float hi[4], gi[4];
      load_floats(hi, h + i);
      load_floats(gi, grad + i);
#pragma unroll
      for (int k = 0; k < 4; k++) estimate(hi[k], gi[k]);
      store_floats(h + i, hi);
      store_floats(grad + i, gi);
    } else {
      for (int64_t k = i; k < n && k < i + 4; k++) estimate(h[k], grad[k]);
    }
  }
}
