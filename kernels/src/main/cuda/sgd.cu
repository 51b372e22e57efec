// sgd.cu — g ← grad·scale + decay·w,  v ← μ·v + (1-dampening)·g (v ← g in the first step),  grad ← 0
//   w ← w - lr·v,  or Nesterov's  w ← w - lr·(g + μ·v),  or without momentum  w ← w - lr·g
//   Polyak 1964; Nesterov's form as in Sutskever et al. 2013, proceedings.mlr.press/v28/sutskever13.
// Tiling: update.cuh.
// Traffic: 16 bytes an element, 8 more with momentum, 2 more for a half copy of the weights.  FLOPs: ~8 an element, so memory bound.
// Measured: not yet.
#include "update.cuh"

struct Sgd {
  static constexpr int kKept = 1;  // v, null without momentum
  float decay, momentum, take;     // take: what the gradient adds to the velocity
  float of_gradient, of_velocity;  // what each adds to the step

  __device__ __forceinline__ void operator()(float& w, float g, float (&kept)[kKept]) const {
    float& v = kept[0];
    g += decay * w;
    v = momentum * v + take * g;
    w -= of_gradient * g + of_velocity * v;
  }
};

KERNEL(sgd_constants, (Sgd * rules, const StepState* s, Segments segments, int count, float momentum, float dampening, float nesterov), 32) {
  int i = threadIdx.x;
  if (i >= count) return;
  float lr = static_cast<float>(segment_rate(s, segments, i));
  bool plain = momentum == 0.0f;
  rules[i].decay = static_cast<float>(segments.weight_decay[i]);
  rules[i].momentum = momentum;
  rules[i].take = s->applied_steps == 1 ? 1.0f : 1.0f - dampening;
  rules[i].of_gradient = plain || nesterov != 0.0f ? lr : 0.0f;
  rules[i].of_velocity = plain ? 0.0f : nesterov != 0.0f ? lr * momentum : lr;
}

UPDATE(sgd, Sgd)
