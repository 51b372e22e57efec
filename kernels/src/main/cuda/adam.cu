// adam.cu — g ← grad·scale + decay·w,  m ← β1·m + (1-β1)·g,  v ← β2·v + (1-β2)·g²,  grad ← 0
//   w ← w - lr·m/(1-β1^t) / (sqrt(v/(1-β2^t)) + ε)                Kingma & Ba 2014, arXiv:1412.6980
//   AMSGrad: the largest v so far in place of v                   Reddi et al. 2018, arXiv:1904.09237
// Tiling: update.cuh.
// Traffic: 32 bytes an element, 8 more for AMSGrad, 2 more for a half copy of the weights.  FLOPs: ~17 an element, so memory bound.
// Measured: not yet.
#include "update.cuh"

struct Adam {
  static constexpr int kKept = 3;  // m, v, the largest v or null
  float decay;
  float step_size;  // lr / (1 - β1^t)
  float root_bias;  // 1 / sqrt(1 - β2^t)
  float beta1, beta2, eps;

  __device__ __forceinline__ void operator()(float& w, float g, float (&kept)[kKept]) const {
    float &m = kept[0], &v = kept[1], &largest = kept[2];
    g += decay * w;
    m += (1.0f - beta1) * (g - m);
    v = beta2 * v + (1.0f - beta2) * (g * g);
    largest = fmaxf(largest, v);  // of a buffer that is not there: v, since that is never less than 0
    w -= step_size * m / (sqrtf(largest) * root_bias + eps);
  }
};

KERNEL(adam_constants, (Adam * rules, const StepState* s, Segments segments, int count, float beta1, float beta2, float eps), 32) {
  int i = threadIdx.x;
  if (i >= count) return;
  double lr = segment_rate(s, segments, i);
  double t = s->applied_steps;
  rules[i].decay = static_cast<float>(segments.weight_decay[i]);
  rules[i].step_size = static_cast<float>(lr / (1.0 - pow(double(beta1), t)));
  rules[i].root_bias = static_cast<float>(1.0 / sqrt(1.0 - pow(double(beta2), t)));
  rules[i].beta1 = beta1;
  rules[i].beta2 = beta2;
  rules[i].eps = eps;
}

UPDATE(adam, Adam)
