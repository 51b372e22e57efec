// draw_targets.cu — ids[r]: a class drawn from softmax(logits[r]), by the inverse of its distribution function at a number of
//   Philox4x32-10 at counter (row in the step, 0, step, "DRAW") under key seed; targets[r] where that is ignored.
// Tiling: a warp per row, lanes at neighbouring columns. Lane l sums columns l, l + 32, …; the order of the classes is that of
//   lanes, then of columns, which is as good as any.
// Traffic (s bytes an element): 3·R·C·s, of which two thirds from the cache for rows of its size.  FLOPs: ~4·R·C.
// Measured: not yet.
#include "philox.cuh"
#include "row.cuh"
#include "step_state.cuh"

constexpr uint32_t kDraw = 0x44524157u;  // no dropout has this site

template <class T>
__device__ void draw_targets(int* ids, const T* logits, int64_t stride, const int* targets, const StepState* s, int64_t rows, int cols, int first, int length,
                             int ignored, float soft_cap) {
  int64_t row = int64_t{blockIdx.x} * kRowWarps + warp_index();
  if (row >= rows) return;
  int lane = lane_index();
  if (targets[row] == ignored) {
    if (lane == 0) ids[row] = ignored;
    return;
  }
  const T* x = logits + row * stride;
  auto logit = [=](int c) {
    float v = to_float(x[c]);
    return soft_cap > 0 ? soft_cap * tanhf(v / soft_cap) : v;
  };
  float max = -INFINITY;
  for (int c = lane; c < cols; c += kWarp) max = fmaxf(max, logit(c));
  max = warp_max(max);
  float sum = 0;
  for (int c = lane; c < cols; c += kWarp) sum += expf(logit(c) - max);
  double total = 0;
  for (int l = 0; l < kWarp; l++) total += __shfl_sync(0xffffffffu, sum, l);
  uint32_t words[kWords] = {static_cast<uint32_t>(s->first_sequence * length + first + row), 0, static_cast<uint32_t>(s->step), kDraw};
  philox(words, static_cast<uint32_t>(s->seed), static_cast<uint32_t>(s->seed >> 32));
  double left = static_cast<float>(words[0] >> 8) * 0x1p-24f * total;
  int chosen = 0, last = (cols < kWarp ? cols : kWarp) - 1;
  for (int l = 0; l < kWarp; l++) {
    float there = __shfl_sync(0xffffffffu, sum, l);
    if (chosen == l && l < last && left >= there) {
      left -= there;
      chosen++;
    }
  }
  if (lane != chosen) return;
  int c = lane;
  float before = 0;
  for (; c + kWarp < cols; c += kWarp) {
    float e = expf(logit(c) - max);
    if (left < before + e) break;
    before += e;
  }
  ids[row] = c;
}

#define INSTANCE(T, suffix)                                                                                                             \
  KERNEL(draw_targets_##suffix,                                                                                                         \
         (int* ids, const T* logits, int64_t stride, const int* targets, const StepState* s, int64_t rows, int cols, int first, int length, int ignored, float soft_cap), \
         kRowWarps * kWarp) {                                                                                                           \
    draw_targets(ids, logits, stride, targets, s, rows, cols, first, length, ignored, soft_cap);                                        \
  }
INSTANCE(float, f32)
INSTANCE(bf16, bf16)
INSTANCE(f16, f16)
