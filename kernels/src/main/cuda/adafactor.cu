// adafactor.cu — what Adafactor does element by element; sums over rows and columns are those of elementwise.
//                                                                              Shazeer & Stern 2018, arXiv:1804.04235
//   moment   r ← r + t^-ρ·(Σ g²/n + ε - r)            a row's, a column's, or an element's of a vector
//   step     m ← β1·m + (1-β1)·α·u/max(1, rms(u)/d),  w ← w·(1 - lr·decay) - m,  grad ← 0;  u lies in the gradients
// Tiling: update.cuh.
// Traffic: 16 bytes an element of the weights, 8 more with momentum, 2 more for a half copy; memory bound.
// Measured: not yet.
#include "update.cuh"

struct AdafactorMoment {
  static constexpr int kKept = 1;  // none
  float share, mean, floor;

  __device__ __forceinline__ void operator()(float& r, float sum, float (&)[kKept]) const { r += share * ((sum * mean + floor) - r); }
};

// The loop has scaled a sum of squares once, like a gradient; the other time is here.
KERNEL(adafactor_moment_constants, (AdafactorMoment * rules, const StepState* s, Segments, int count, float mean, float floor, float exponent), kMaxSegments) {
  int i = threadIdx.x;
  if (i >= count) return;
  rules[i] = {static_cast<float>(pow(double(s->applied_steps), double(exponent))), s->grad_scale * mean, floor};
}

UPDATE(adafactor_moment, AdafactorMoment)

struct AdafactorStep {
  static constexpr int kKept = 1;  // m
  float decay, rate, beta1;

  __device__ __forceinline__ void operator()(float& w, float u, float (&kept)[kKept]) const {
    float& m = kept[0];
    m = beta1 * m + (1.0f - beta1) * (rate * u);
    w = w * decay - m;
  }
};

// squares: Σ u² before it is scaled, Σ w².
KERNEL(adafactor_step_constants,
       (AdafactorStep * rules, const StepState* s, Segments segments, int count, const float* squares, float elements, float threshold, float least, float beta1,
        float scaled, float capped),
       kMaxSegments) {
  int i = threadIdx.x;
  if (i >= count) return;
  double lr = segment_rate(s, segments, i);
  double rate = capped != 0 ? fmin(lr, 1.0 / sqrt(double(s->applied_steps))) : lr;
  if (scaled != 0) rate *= fmax(double(least), sqrt(squares[1] / double(elements)));
  double rms = s->grad_scale * sqrt(squares[0] / double(elements));
  rules[i] = {static_cast<float>(1.0 - (capped != 0 ? lr : rate) * segments.weight_decay[i]), static_cast<float>(rate / fmax(1.0, rms / threshold)), beta1};
}

UPDATE(adafactor_step, AdafactorStep)
