// global_norm.cu — norm = √Σ g²/scale (or Σ |g|/scale, max |g|/scale),  clip = min(1, max_norm/(norm + 1e-6)),  gradient scale = clip/scale;
//   then the counters and the next loss scale: all that a step decides, in StepState.
//   Loss scaling: Micikevicius et al. 2018, arXiv:1710.03740.
// Tiling: phase 1, a block of 256 threads per piece of the buffer, one double each; phase 2, one block adds the pieces
//   in a fixed order and decides. The pieces depend on n alone: the same bits on every device.
// Squares are added in double: those of fp32 numbers neither overflow nor vanish there, so the sum is finite exactly
//   where every gradient is, which is the test for an overflow.
// Traffic: 4·n bytes.  FLOPs: 2·n in double, so memory bound also where double is 64 times slower than fp32.
// Measured: not yet.
#include "row.cuh"
#include "step_state.cuh"

constexpr int kThreads = 256;
constexpr int kUnderWay = 4;  // loads of 16 bytes of a thread
constexpr double kLargestUpdate = 1e18;  // norm, beyond which the square of an element may not fit fp32

enum class Norm { kL1, kL2, kMax };  // dev.javelin.kernels.VectorNorm

__device__ __forceinline__ double magnitude(float x, Norm norm) { return norm == Norm::kL2 ? double(x) * double(x) : fabs(double(x)); }
__device__ __forceinline__ double join(double a, double b, Norm norm) {
  if (norm != Norm::kMax) return a + b;
  return b > a || isnan(b) ? b : a;  // keeps a NaN
}
__device__ __forceinline__ double block_join(double v, Norm norm) {
  return block_reduce_double<kThreads>(v, [=](double a, double b) { return join(a, b, norm); });
}

KERNEL(global_norm_partial, (double* partial, const float* x, int64_t n, int64_t piece, Norm norm), kThreads, 4) {
  int64_t from = int64_t{blockIdx.x} * piece;
  int64_t to = from + piece < n ? from + piece : n;
  double sum = 0;
  int64_t i = from + 4 * threadIdx.x;
  if (is_aligned(x, 16)) {  // and pieces are a multiple of 4
    auto add = [&](const Packed<float, 4>& packed) {
      float v[4];
      unpack<float>(v, packed);
#pragma unroll
      for (int k = 0; k < 4; k++) sum = join(sum, magnitude(v[k], norm), norm);
    };
    for (; i + (kUnderWay - 1) * 4 * kThreads + 4 <= to; i += kUnderWay * 4 * kThreads) {
      Packed<float, 4> v[kUnderWay];
#pragma unroll
      for (int k = 0; k < kUnderWay; k++) v[k] = load_packed<4>(x + i + k * 4 * kThreads);
#pragma unroll
      for (int k = 0; k < kUnderWay; k++) add(v[k]);
    }
    for (; i + 4 <= to; i += 4 * kThreads) add(load_packed<4>(x + i));
  }
  for (; i < to; i += 4 * kThreads) {
    for (int64_t k = i; k < to && k < i + 4; k++) sum = join(sum, magnitude(x[k], norm), norm);
  }
  sum = block_join(sum, norm);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

__device__ void move_scale(StepState* s, bool finite, float growth, float backoff, int interval, float min_scale) {
  if (!finite) {
    s->loss_scale = fmaxf(min_scale, s->loss_scale * backoff);
    s->growth_tracker = 0;
  } else if (s->growth_tracker + 1 < interval) {
    s->growth_tracker++;
  } else {
    float grown = s->loss_scale * growth;
    if (isfinite(grown)) s->loss_scale = grown;
    s->growth_tracker = 0;
  }
}

// interval 0: the scale never changes.
KERNEL(global_norm_decide, (StepState * s, const double* partial, int pieces, Norm norm, float max_norm, float growth, float backoff, int interval, float min_scale),
       kThreads) {
  double sum = 0;
  for (int i = threadIdx.x; i < pieces; i += kThreads) sum = join(sum, partial[i], norm);
  sum = block_join(sum, norm);
  if (threadIdx.x != 0) return;
  double scale = s->loss_scale;
  double length = (norm == Norm::kL2 ? sqrt(sum) : sum) / scale;
  double factor = fmin(1.0, max_norm / (length + 1e-6));
  bool finite = isfinite(sum) && isfinite(s->loss) && length * factor <= kLargestUpdate && !s->spoiled;
  double clip = finite ? factor : 0.0;
  s->grad_norm = static_cast<float>(length);
  s->clip_factor = static_cast<float>(clip);
  s->grad_scale = static_cast<float>(clip / scale);
  s->overflow = finite ? 0 : 1;
  if (finite) {
    s->applied_steps++;
    s->bad_steps = 0;
  } else {
    s->skipped_steps++;
    if (s->spoiled || interval == 0 || scale <= min_scale) {
      s->bad_steps++;
      s->last_bad_step = s->step;
    }
  }
  if (interval > 0 && !s->spoiled) move_scale(s, finite, growth, backoff, interval, min_scale);
}

// spoiled = whether a number is not finite, by the largest of each piece; joined to what stands there unless this is the first buffer.
KERNEL(global_norm_spoil, (StepState * s, const double* partial, int pieces, int first), kThreads) {
  double sum = 0;  // finite where all are: they are magnitudes of fp32 numbers
  for (int i = threadIdx.x; i < pieces; i += kThreads) sum += partial[i];
  sum = block_sum_double<kThreads>(sum);
  if (threadIdx.x == 0) s->spoiled = (!first && s->spoiled) || !isfinite(sum);
}

// to = the Euclidean norm of the unscaled gradient, for who looks on: nothing is decided.
KERNEL(global_norm_measure, (float* to, const StepState* s, const double* partial, int pieces), kThreads) {
  double sum = 0;
  for (int i = threadIdx.x; i < pieces; i += kThreads) sum += partial[i];
  sum = block_sum_double<kThreads>(sum);
  if (threadIdx.x == 0) *to = static_cast<float>(sqrt(sum) / s->loss_scale);
}

// g = min(max(g, -v), v) with v = max_value/grad_scale; a NaN stays. A skipped step stays as it is.
KERNEL(global_norm_clip_values, (float* g, int64_t n, const StepState* s, float max_value), kThreads) {
  if (s->overflow) return;
  float bound = max_value / s->grad_scale;
  int64_t step = 4 * int64_t{gridDim.x} * kThreads;
  bool vectors = is_aligned(g, 16);
  for (int64_t i = 4 * (int64_t{blockIdx.x} * kThreads + threadIdx.x); i < n; i += step) {
    if (vectors && i + 4 <= n) {
      float v[4];
      load_floats(v, g + i);
#pragma unroll
      for (int k = 0; k < 4; k++) v[k] = v[k] > bound ? bound : v[k] < -bound ? -bound : v[k];
      store_floats(g + i, v);
    } else {
      for (int64_t k = i; k < n && k < i + 4; k++) g[k] = g[k] > bound ? bound : g[k] < -bound ? -bound : g[k];
    }
  }
}
