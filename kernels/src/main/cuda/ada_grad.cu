// ada_grad.cu — g ← grad·scale + decay·w,  s ← s + g²,  grad ← 0
//   w ← w - lr/(1 + (t-1)·lr_decay) · g / (sqrt(s) + ε)          Duchi, Hazan & Singer 2011, jmlr.org/papers/v12/duchi11a
// Tiling: update.cuh.
// Traffic: 24 bytes an element, 2 more for a half copy of the weights.  FLOPs: ~9 an element, so memory bound.
// Measured: not yet.
#include "update.cuh"

struct AdaGrad {
  static constexpr int kKept = 1;  // s
  float decay, rate, eps;

  __device__ __forceinline__ void operator()(float& w, float g, float (&kept)[kKept]) const {
    g += decay * w;
    kept[0] += g * g;
    w -= rate * g / (sqrtf(kept[0]) + eps);
  }
};

KERNEL(ada_grad_constants, (AdaGrad * rules, const StepState* s, Segments segments, int count, float lr_decay, float eps), 32) {
  int i = threadIdx.x;
  if (i >= count) return;
  rules[i].decay = static_cast<float>(segments.weight_decay[i]);
  rules[i].rate = static_cast<float>(segment_rate(s, segments, i) / (1.0 + (s->applied_steps - 1) * double(lr_decay)));
  rules[i].eps = eps;
}

UPDATE(ada_grad, AdaGrad)
