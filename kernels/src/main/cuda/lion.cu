// lion.cu — w ← w·(1 - lr·decay) - lr·sign(β1·m + (1-β1)·g),  m ← β2·m + (1-β2)·g,  g = grad·scale,  grad ← 0
//   Chen et al. 2023, arXiv:2302.06675.  sign(0) = 0.
// Tiling: update.cuh.
// Traffic: 24 bytes an element, 2 more for a half copy of the weights.  FLOPs: ~10 an element, so memory bound.
// Measured: not yet.
#include "update.cuh"

struct Lion {
  static constexpr int kKept = 1;  // m
  float decay, lr, beta1, beta2;   // decay: 1 - lr·weight_decay

  __device__ __forceinline__ void operator()(float& w, float g, float (&kept)[kKept]) const {
    float& m = kept[0];
    float c = beta1 * m + (1.0f - beta1) * g;
    m = beta2 * m + (1.0f - beta2) * g;
    w = w * decay - (c > 0.0f ? lr : c < 0.0f ? -lr : 0.0f);
  }
};

KERNEL(lion_constants, (Lion * rules, const StepState* s, Segments segments, int count, float beta1, float beta2), 32) {
  int i = threadIdx.x;
  if (i >= count) return;
  double lr = segment_rate(s, segments, i);
  rules[i].decay = static_cast<float>(1.0 - lr * segments.weight_decay[i]);
  rules[i].lr = static_cast<float>(lr);
  rules[i].beta1 = beta1;
  rules[i].beta2 = beta2;
}

UPDATE(lion, Lion)
