// linear_cross_entropy.cu — the gradient of a chunk of logits x·wᵀ, rounded to the half type of x and w, over the logits
//   dx[r,v] = LogitGradient (cross_entropy.cuh), and 0 in a row with the ignored target
// The logits come from the matrix product in fp32, and so do their maximum and sum (cross_entropy_forward_f32). Their
//   gradient is an operand of two products on tensor cores, dx = dlogits·w and dw += dlogitsᵀ·x, which want one type: it is
//   rounded here, once, as PyTorch's is. It takes the front half of each row's memory, so no second buffer exists. fp32
//   needs no rounding: cross_entropy_backward_f32 works in place.
//
//     row of the scratch   | x0 x1 x2 x3 x4 x5 x6 x7 | x8 …        fp32
//     after                | d0 … d7    | d8 … d15   | x8 …        the second tile overwrites what only the first had read
//
// Tiling: as in cross_entropy.cu, a warp or a block of 512 threads per row. A tile is 8 columns for each thread; what a
//   tile writes has been read by this tile or earlier ones, so one barrier between reading and writing keeps it in order.
// Traffic: 4·R·V read, 2·R·V written.  FLOPs: ~10 an element, so memory bound.
// Measured: not yet.
#include "cross_entropy.cuh"
#include "row.cuh"

constexpr int kLong = 512;
constexpr int kUnit = 8;  // columns of a thread: 16 bytes of a half type

template <class T, int kThreads>
__device__ void linear_cross_entropy_gradient(float* logits, int64_t stride, const float* dy, const int* targets, const float* stats, int64_t rows,
                                              int cols, Form form) {
  using Threads = RowThreads<kThreads>;
  int64_t row = Threads::first();
  if (row >= rows) return;
  LogitGradient gradient(dy[row], stats + 2 * row, targets[row], cols, form);
  const float* x = logits + row * stride;  // rows · stride may pass 2^31
  T* d = reinterpret_cast<T*>(logits + row * stride);
  int tiles = (cols + kUnit * kThreads - 1) / (kUnit * kThreads);
  for (int tile = 0; tile < tiles; tile++) {
    int at = (tile * kThreads + Threads::rank()) * kUnit, count = min(cols - at, kUnit);
    float v[kUnit];
    if (count == kUnit) {
      load_floats(v, x + at);
    } else {
#pragma unroll
      for (int i = 0; i < kUnit; i++) v[i] = i < count ? x[at + i] : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < kUnit; i++) v[i] = gradient(v[i], at + i);
    Threads::barrier();
    if (count == kUnit) {
      store_floats(d + at, v);
    } else {
#pragma unroll
      for (int i = 0; i < kUnit; i++) {
        if (i < count) d[at + i] = from_float<T>(v[i]);
      }
    }
  }
}

#define INSTANCE(T, suffix, name, kThreads)                                                                                                   \
  KERNEL(linear_cross_entropy_gradient_##name##suffix,                                                                                        \
         (float* logits, int64_t stride, const float* dy, const int* targets, const float* stats, int64_t rows, int cols, int ignore_index,   \
          float smoothing, float z_loss, float soft_cap),                                                                                     \
         RowThreads<kThreads>::kBlock) {                                                                                                      \
    linear_cross_entropy_gradient<T, kThreads>(logits, stride, dy, targets, stats, rows, cols, Form{ignore_index, smoothing, z_loss, soft_cap}); \
  }
#define INSTANCES(T, suffix)    \
  INSTANCE(T, suffix, , kWarp)  \
  INSTANCE(T, suffix, long_, kLong)
INSTANCES(bf16, bf16)
INSTANCES(f16, f16)
