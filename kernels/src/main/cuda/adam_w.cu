// adam_w.cu — m ← β1·m + (1-β1)·g,  v ← β2·v + (1-β2)·g²,  g = grad·scale
//   w ← w·(1 - lr·decay) - lr·m/(1-β1^t) / (sqrt(v/(1-β2^t)) + ε),  grad ← 0          Loshchilov & Hutter 2017, arXiv:1711.05101
// Tiling: update.cuh.
// Traffic: 32 bytes an element (reads w, m, v, grad, writes them), 2 more for a half copy of the weights.
//   FLOPs: ~15 an element, so memory bound.
// Measured: not yet.
#include "update.cuh"

struct AdamW {
  static constexpr int kKept = 2;  // m, v
  float decay;      // 1 - lr·weight_decay
  float step_size;  // lr / (1 - β1^t)
  float root_bias;  // 1 / sqrt(1 - β2^t)
  float beta1, beta2, eps;

  __device__ __forceinline__ void operator()(float& w, float g, float (&kept)[kKept]) const {
    float &m = kept[0], &v = kept[1];
    m += (1.0f - beta1) * (g - m);
    v = beta2 * v + (1.0f - beta2) * (g * g);
    w = w * decay - step_size * m / (sqrtf(v) * root_bias + eps);
  }
};

KERNEL(adam_w_constants, (AdamW * rules, const StepState* s, Segments segments, int count, float beta1, float beta2, float eps), 32) {
  int i = threadIdx.x;
  if (i >= count) return;
  double lr = segment_rate(s, segments, i);
  double t = s->applied_steps;
  rules[i].decay = static_cast<float>(1.0 - lr * segments.weight_decay[i]);
  rules[i].step_size = static_cast<float>(lr / (1.0 - pow(double(beta1), t)));
  rules[i].root_bias = static_cast<float>(1.0 / sqrt(1.0 - pow(double(beta2), t)));
  rules[i].beta1 = beta1;
  rules[i].beta2 = beta2;
  rules[i].eps = eps;
}

UPDATE(adam_w, AdamW)
