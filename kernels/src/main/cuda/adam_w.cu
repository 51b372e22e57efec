// adam_w.cu — m ← β1·m + (1-β1)·g,  v ← β2·v + (1-β2)·g²,  g = grad·scale
//   w ← w·(1 - lr·decay) - lr·m/(1-β1^t) / (sqrt(v/(1-β2^t)) + ε)  (or another place of ε: adam.cuh),  grad ← 0          Loshchilov & Hutter 2017, arXiv:1711.05101
// Tiling: update.cuh.
// Traffic: 32 bytes an element (reads w, m, v, grad, writes them), 2 more for a half copy of the weights.
//   FLOPs: ~15 an element, so memory bound.
// Measured: not yet.
#include "adam.cuh"
#include "update.cuh"

struct AdamW {
  static constexpr int kKept = 2;  // m, v
  AdamConstants c;

  __device__ __forceinline__ void operator()(float& w, float g, float (&kept)[kKept]) const {
    float &m = kept[0], &v = kept[1];
    m += (1.0f - c.beta1) * (g - m);
    v = c.beta2 * v + (1.0f - c.beta2) * (g * g);
    w = w * c.decay - c.step(m, v);
  }
};

KERNEL(adam_w_constants,
       (AdamW * rules, const StepState* s, Segments segments, int count, const float* eps_scale, float beta1, float beta2, float placement, float start, float end,
        float steps),
       32) {
  int i = threadIdx.x;
  if (i >= count) return;
  rules[i].c = adam_constants(s, segment_rate(s, segments, i), segments.weight_decay[i], eps_scale, beta1, beta2, placement, start, end, steps);
}

UPDATE(adam_w, AdamW)
