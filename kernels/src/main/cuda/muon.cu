// muon.cu — what Muon does element by element; the products between are those of matmul.        Jordan et al. 2024,
//   https://kellerjordan.github.io/posts/muon
//   momentum   m ← μ·m + f·g,  x ← f·g + μ·m (Nesterov) or m,  grad ← 0;  f = 1-μ or 1
//   descent    w ← w·(1 - lr·decay) - lr·factor·x
// Tiling: update.cuh.
// Traffic: 40 and 24 bytes an element, beside five times three matrix products, so no matter.
// Measured: not yet.
#include "update.cuh"

struct MuonMomentum {
  static constexpr int kKept = 2;  // m, x
  float mu, fresh;
  int nesterov;

  __device__ __forceinline__ void operator()(float&, float g, float (&kept)[kKept]) const {
    float &m = kept[0], &x = kept[1];
    m = mu * m + fresh * g;
    x = nesterov ? fresh * g + mu * m : m;
  }
};

KERNEL(muon_momentum_constants, (MuonMomentum * rules, const StepState*, Segments, int count, float mu, float fresh, float nesterov), kMaxSegments) {
  int i = threadIdx.x;
  if (i < count) rules[i] = {mu, fresh, nesterov != 0};
}

UPDATE(muon_momentum, MuonMomentum)

struct MuonDescent {
  static constexpr int kKept = 1;  // x
  float decay, rate;

  __device__ __forceinline__ void operator()(float& w, float, float (&kept)[kKept]) const { w = w * decay - rate * kept[0]; }
};

KERNEL(muon_descent_constants, (MuonDescent * rules, const StepState* s, Segments segments, int count, float factor), kMaxSegments) {
  int i = threadIdx.x;
  if (i >= count) return;
  double lr = segment_rate(s, segments, i);
  rules[i] = {static_cast<float>(1.0 - lr * segments.weight_decay[i]), static_cast<float>(lr * factor)};
}

UPDATE(muon_descent, MuonDescent)
