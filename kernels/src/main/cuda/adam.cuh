// adam.cuh: what rules of Adam's kind compute for a segment before they go over its elements, and their direction.
#pragma once
#include "segments.cuh"

enum class Epsilon { kOutside, kInside, kZeroSafe };  // dev.javelin.kernels.EpsilonPlacement

struct AdamConstants {
  float decay;      // 1 - lr·weight_decay
  float step_size;  // lr / (1 - β1^t)
  float root_bias;  // 1 / sqrt(1 - β2^t)
  float bias;       // 1 / (1 - β2^t)
  float beta1, beta2, eps;
  Epsilon placement;

  // lr/(1-β1^t) · m over the root of the corrected v.
  __device__ __forceinline__ float step(float m, float v) const {
    if (placement == Epsilon::kOutside) return step_size * m / (sqrtf(v) * root_bias + eps);
    if (placement == Epsilon::kInside) return step_size * m / sqrtf(v * bias + eps);
    return v > 0.0f ? step_size * m / (sqrtf(v) * root_bias + eps) : 0.0f;
  }
};

// scale: of epsilon, or null for 1.
__device__ __forceinline__ AdamConstants adam_constants(const StepState* s, double lr, double weight_decay, const float* scale, float beta1, float beta2,
                                                        float placement, float start, float end, float steps) {
  double t = s->applied_steps;
  double bias = 1.0 - pow(double(beta2), t);
  double part = steps == 0.0f ? 0.0 : fmin(1.0, (t - 1.0) / double(steps));
  float eps = part == 0.0 ? start : static_cast<float>(double(start) * pow(double(end) / double(start), part));
  if (scale != nullptr) eps *= *scale;
  return {static_cast<float>(1.0 - lr * weight_decay), static_cast<float>(lr / (1.0 - pow(double(beta1), t))), static_cast<float>(1.0 / sqrt(bias)),
          static_cast<float>(1.0 / bias), beta1, beta2, eps, static_cast<Epsilon>(static_cast<int>(placement))};
}
