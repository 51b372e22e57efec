// linear_cross_entropy_rows.cu — what stands around the products of linear_cross_entropy_hopper.cu, row by row
//   reference  r = x[row]·w[target] (capped), 0 where it is no number: what weights e^(logit - r) are relative to
//   fold       (r, Σ e^(logit - r)) of a row from those of its tiles, in a fixed order; its loss
//   weights    the same; the number that makes weights the gradient; the target's weight, which hides (softmax - 1)
//   rescue     of a row whose weights grew too large: all of it again, relative to its largest logit
//   scale      y[row] (+)= number[row] · x[row]
// With S = Σ e^(x - r), a = 1 + 2·z·lse, target t, and weights p[v] = e^(x[v] - r):
//   dlogits[v] = dy·(a·p[v]/S - [v = t]) = (dy·a/S) · (p[v] - [v = t]·S/a),   both times the slope of the soft cap
// Range: p ≤ S must not pass 2^64, so that dy·a/S stays far from what fp32 and bf16 lose. A loss of 44 or more can be so
//   large, and goes to rescue, which is slow: it computes the row's logits twice, without tensor cores.
// Tiling: a warp per row (reference), 32 rows a block and 8 warps that share their tiles (fold, weights), a block per row
//   (rescue, scale).
// Traffic: fold 8·R·V/256 bytes, reference 2·s·R·C, scale of n elements their bytes.  FLOPs: few.
// Measured: not yet.
#include "cross_entropy.cuh"

constexpr int kFolds = 8;          // warps of a block that share the tiles of its rows
constexpr int kRescueThreads = 256;
constexpr int kScaleThreads = 128;
constexpr float kMostWeight = 18446744073709551616.0f;  // 2^64

template <class T>
__device__ __forceinline__ float dot(const T* x, const T* w, int cols) {
  constexpr int N = kVecLength<T>;
  float sum = 0;
  int whole = cols / N * N;
  for (int at = lane_index() * N; at < whole; at += kWarp * N) {
    float a[N], b[N];
    load_floats(a, x + at);
    load_floats(b, w + at);
#pragma unroll
    for (int i = 0; i < N; i++) sum = fmaf(a[i], b[i], sum);
  }
  if (whole + lane_index() < cols) sum = fmaf(to_float(x[whole + lane_index()]), to_float(w[whole + lane_index()]), sum);
  return warp_sum(sum);
}

template <class T>
__device__ void reference(float* references, const T* x, int64_t x_stride, const T* w, int64_t w_stride, const int* targets, int rows, int cols,
                          int vocabulary, Form form) {
  int row = static_cast<int>(RowThreads<kWarp>::first());
  if (row >= rows) return;
  int target = targets[row];
  bool there = target >= 0 && target < vocabulary;
  float r = there ? form.capped(dot(x + row * x_stride, w + target * w_stride, cols)) : 0.0f;
  if (lane_index() == 0) references[row] = fabsf(r) < kMostWeight ? r : 0.0f;
}

// (max, Σ e^(x - max)) of some tiles.
struct Fold {
  float max = -INFINITY, sum = 0;
  __device__ __forceinline__ void add(float other_max, float other_sum) {
    float highest = fmaxf(max, other_max), base = Exponentials::finite(highest);
    // What is nothing stays nothing, and what is no number too: a sum of 0 has -∞ as its largest.
    sum = sum * exponential(max - base) + other_sum * exponential(other_max - base);
    max = highest;
  }
};

struct RowResults {
  float *losses, *stats;
  float* scales;  // null without weights
  const float* dy;

  // Of a row, by one thread. `weight`, the target's: null without weights.
  template <class T>
  __device__ __forceinline__ void write(int64_t row, RowOfLogits found, float hit, int target, int cols, Form form, T* weight) const {
    bool ignored = target == form.ignore_index;
    bool there = target >= 0 && target < cols;
    if (ignored) found = {0, 1, 0};
    losses[row] = ignored ? 0.0f : found.loss(there ? hit : NAN, cols, form);
    stats[2 * row] = found.max;
    stats[2 * row + 1] = found.sum;
    if (scales == nullptr) return;
    float a = 1.0f + (form.z_loss == 0 ? 0.0f : 2.0f * form.z_loss * (found.max + logf(found.sum)));
    if (a == 0) a = 1e-20f;
    scales[row] = ignored ? 0.0f : dy[row] * a / found.sum;
    if (ignored || !there) return;
    float c = form.soft_cap > 0 ? hit / form.soft_cap : 0.0f;
    *weight = from_float<T>((exponential(hit - found.max) - found.sum / a) * (1.0f - c * c));
  }
};

// weights is null, or the rows' weights.
template <class T>
__device__ void fold(RowResults to, const float* partial, const float* totals, const float* hits, const int* targets, T* weights, int64_t stride, int rows,
                     int tiles, int cols, Form form) {
  __shared__ float maxima[kFolds][kWarp], sums[kFolds][kWarp], all[kFolds][kWarp];
  int64_t row = int64_t{blockIdx.x} * kWarp + lane_index();
  int part = warp_index();
  Fold found;
  float total = 0;
  if (row < rows) {
    int tile = part;
    for (; tile + (kUnderWay - 1) * kFolds < tiles; tile += kUnderWay * kFolds) {
      Vec<float, 2> next[kUnderWay];
#pragma unroll
      for (int i = 0; i < kUnderWay; i++) next[i] = load_vec<2>(partial + 2 * (int64_t{tile + i * kFolds} * rows + row));
#pragma unroll
      for (int i = 0; i < kUnderWay; i++) found.add(next[i][0], next[i][1]);
    }
    for (; tile < tiles; tile += kFolds) {
      auto next = load_vec<2>(partial + 2 * (int64_t{tile} * rows + row));
      found.add(next[0], next[1]);
    }
    if (totals != nullptr) {
      for (tile = part; tile < tiles; tile += kFolds) total += totals[int64_t{tile} * rows + row];
    }
  }
  maxima[part][lane_index()] = found.max;
  sums[part][lane_index()] = found.sum;
  all[part][lane_index()] = total;
  __syncthreads();
  if (part != 0 || row >= rows) return;
#pragma unroll
  for (int i = 1; i < kFolds; i++) {
    found.add(maxima[i][lane_index()], sums[i][lane_index()]);
    total += all[i][lane_index()];
  }
  if (found.max == -INFINITY) found.sum = NAN;  // nothing but -∞, as 0/0
  int target = targets[row];
  bool there = target >= 0 && target < cols;
  to.write(row, RowOfLogits{found.max, found.sum, total}, there ? hits[row] : NAN, target, cols, form, weights + row * stride + (there ? target : 0));
}

template <class T>
__device__ void rescue(RowResults to, const T* x, int64_t x_stride, const T* w, int64_t w_stride, const int* targets, T* weights, int64_t stride, int cols,
                       int vocabulary, Form form) {
  constexpr int kWarps = kRescueThreads / kWarp;
  __shared__ float maxima[kWarps], sums[kWarps], hits[1];
  int64_t row = blockIdx.x;
  if (!(to.stats[2 * row + 1] > kMostWeight)) return;  // nor where it is no number
  const T* own = x + row * x_stride;
  int target = targets[row];
  __syncthreads();  // all have read the sum
  auto logit = [&](int v) { return form.capped(dot(own, w + v * w_stride, cols)); };
  Fold found;
  for (int v = warp_index(); v < vocabulary; v += kWarps) {
    float one = logit(v);
    found.add(one, 1);
    if (v == target && lane_index() == 0) hits[0] = one;
  }
  if (lane_index() == 0) {
    maxima[warp_index()] = found.max;
    sums[warp_index()] = found.sum;
  }
  __syncthreads();
  found = {};
  for (int i = 0; i < kWarps; i++) found.add(maxima[i], sums[i]);
  float per_cap = form.soft_cap > 0 ? 1.0f / form.soft_cap : 0.0f;
  for (int v = warp_index(); v < vocabulary; v += kWarps) {
    float one = logit(v), c = one * per_cap;
    if (lane_index() == 0) weights[row * stride + v] = from_float<T>(exponential(one - found.max) * (1.0f - c * c));
  }
  __syncthreads();
  bool there = target >= 0 && target < vocabulary;
  if (threadIdx.x == 0) {
    to.write(row, RowOfLogits{found.max, found.sum, 0}, there ? hits[0] : NAN, target, vocabulary, form, weights + row * stride + (there ? target : 0));
  }
}

template <class In, class Out>
__device__ void scale(Out* y, int64_t y_stride, bool accumulate, const In* x, int64_t x_stride, const float* scales, int cols) {
  constexpr int N = kVecLength<Out>;
  int64_t row = blockIdx.x;
  float by = scales[row];
  y += row * y_stride;
  x += row * x_stride;
  int whole = cols / N * N;
  for (int at = static_cast<int>(threadIdx.x) * N; at < whole; at += kScaleThreads * N) {
    float v[N];
    load_floats(v, x + at);
#pragma unroll
    for (int i = 0; i < N; i++) v[i] *= by;
    emit_floats(y + at, v, accumulate);
  }
  int at = whole + static_cast<int>(threadIdx.x);
  if (at < cols) {
    float v[1] = {to_float(x[at]) * by};
    emit_floats(y + at, v, accumulate);
  }
}

#define FORM int ignore_index, float smoothing, float z_loss, float soft_cap
#define FORM_GIVEN Form{ignore_index, smoothing, z_loss, soft_cap}
KERNEL(linear_cross_entropy_rows_fold,
       (float* losses, float* stats, const float* partial, const float* totals, const float* hits, const int* targets, int rows, int tiles, int cols, FORM),
       kFolds* kWarp) {
  fold<float>({losses, stats, nullptr, nullptr}, partial, totals, hits, targets, nullptr, 0, rows, tiles, cols, FORM_GIVEN);
}
#define INSTANCES(T, suffix)                                                                                                                         \
  KERNEL(linear_cross_entropy_rows_reference_##suffix,                                                                                               \
         (float* references, const T* x, int64_t x_stride, const T* w, int64_t w_stride, const int* targets, int rows, int cols, int vocabulary, FORM), \
         RowThreads<kWarp>::kBlock) {                                                                                                                \
    reference(references, x, x_stride, w, w_stride, targets, rows, cols, vocabulary, FORM_GIVEN);                                                    \
  }                                                                                                                                                  \
  KERNEL(linear_cross_entropy_rows_weights_##suffix,                                                                                                 \
         (float* losses, float* stats, float* scales, const float* dy, const float* partial, const float* hits, const int* targets, T* weights,     \
          int64_t stride, int rows, int tiles, int cols, FORM),                                                                                      \
         kFolds* kWarp) {                                                                                                                            \
    fold<T>({losses, stats, scales, dy}, partial, nullptr, hits, targets, weights, stride, rows, tiles, cols, FORM_GIVEN);                           \
  }                                                                                                                                                  \
  KERNEL(linear_cross_entropy_rows_rescue_##suffix,                                                                                                  \
         (float* losses, float* stats, float* scales, const float* dy, const T* x, int64_t x_stride, const T* w, int64_t w_stride,                   \
          const int* targets, T* weights, int64_t stride, int cols, int vocabulary, FORM),                                                           \
         kRescueThreads, 1) {                                                                                                                        \
    rescue<T>({losses, stats, scales, dy}, x, x_stride, w, w_stride, targets, weights, stride, cols, vocabulary, FORM_GIVEN);                        \
  }                                                                                                                                                  \
  KERNEL(linear_cross_entropy_rows_scale_##suffix##_##suffix,                                                                                        \
         (T * y, int64_t y_stride, int accumulate, const T* x, int64_t x_stride, const float* scales, int cols), kScaleThreads) {                    \
    scale<T, T>(y, y_stride, accumulate != 0, x, x_stride, scales, cols);                                                                            \
  }                                                                                                                                                  \
  KERNEL(linear_cross_entropy_rows_scale_f32_##suffix,                                                                                               \
         (T * y, int64_t y_stride, int accumulate, const float* x, int64_t x_stride, const float* scales, int cols), kScaleThreads) {                \
    scale<float, T>(y, y_stride, accumulate != 0, x, x_stride, scales, cols);                                                                        \
  }
INSTANCES(bf16, bf16)
