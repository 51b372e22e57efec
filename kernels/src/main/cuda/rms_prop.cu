// rms_prop.cu — g ← grad·scale + decay·w,  s ← α·s + (1-α)·g²,  u = g / (sqrt(s) + ε),  w ← w - lr·u,  grad ← 0
//   centred: the mean  a ← α·a + (1-α)·g,  and sqrt(s - a²) as divisor; with momentum: v ← μ·v + u, which then is the step.
//   Tieleman & Hinton 2012, lecture 6.5 of "Neural networks for machine learning"; centred: Graves 2013, arXiv:1308.0850.
// Tiling: update.cuh.
// Traffic: 24 bytes an element, 8 more for each of mean and velocity, 2 more for a half copy of the weights.
//   FLOPs: ~15 an element, so memory bound.
// Measured: not yet.
#include "update.cuh"

struct RmsProp {
  static constexpr int kKept = 3;  // s, the mean or null, the velocity or null
  float decay, alpha, momentum, lr, eps;
  int centered;

  __device__ __forceinline__ void operator()(float& w, float g, float (&kept)[kKept]) const {
    float &s = kept[0], &a = kept[1], &v = kept[2];
    g += decay * w;
    s = alpha * s + (1.0f - alpha) * (g * g);
    a = alpha * a + (1.0f - alpha) * g;
    float variance = centered ? fmaxf(0.0f, s - a * a) : s;  // rounding may make it negative
    v = momentum * v + g / (sqrtf(variance) + eps);          // without a velocity: of 0
    w -= lr * v;
  }
};

KERNEL(rms_prop_constants, (RmsProp * rules, const StepState* s, Segments segments, int count, float alpha, float momentum, float eps, float centered), 32) {
  int i = threadIdx.x;
  if (i >= count) return;
  rules[i].decay = static_cast<float>(segments.weight_decay[i]);
  rules[i].alpha = alpha;
  rules[i].momentum = momentum;
  rules[i].lr = static_cast<float>(segment_rate(s, segments, i));
  rules[i].eps = eps;
  rules[i].centered = centered != 0.0f;
}

UPDATE(rms_prop, RmsProp)
