// linear_cross_entropy.cu — loss and gradient of a chunk of logits x·wᵀ, the gradient in the type of x and w, over the logits
//   losses[r] = RowOfLogits::loss, dx[r,v] = LogitGradient (both cross_entropy.cuh), and 0 in a row with the ignored target
// The logits come from the matrix product in fp32. Their gradient is an operand of two products on tensor cores,
//   dx = dlogits·w and dw += dlogitsᵀ·x, which want one type: it is rounded here, once, as PyTorch's is. Under half types it
//   takes the front half of each row's memory, so no second buffer exists.
//
//     row of the scratch   | x0 x1 x2 x3 x4 x5 x6 x7 | x8 …        fp32
//     after                | d0 … d7    | d8 … d15   | x8 …        the second tile overwrites what only the first had read
//
// Tiling: a warp per row up to 1024 columns, 4 rows a block; beyond, a block of 1024 threads per row. A first pass finds the
//   maximum and the sum, unless they are there (losses is null), four vectors under way, and leaves the row's first `kept`
//   columns in shared memory (232 KB of an H200 are 57,000 logits): a multiprocessor has registers for one such block, so
//   nobody else wants it. The second pass, a tile ahead of the one in hand, finds the others in the L2 cache.
//   A tile is 8 columns for each thread; what a tile writes has been read by this tile or earlier ones, so one barrier
//   between reading and writing keeps it in order, the target's logit included.
// Traffic (s bytes an element of x): 4·R·V read, s·R·V written; what is not kept, 4 bytes each, is read once more.
// FLOPs: ~20 an element, so memory bound.
// Measured: not yet.
#include "cross_entropy.cuh"

constexpr int kLong = 1024;
constexpr int kUnit = 8;  // columns of a thread: 16 bytes of a half type

template <class T, int kThreads>
__device__ void linear_cross_entropy(float* logits, int64_t stride, const float* dy, const int* targets, float* losses, float* stats, int64_t rows,
                                     int cols, int kept, Form form) {
  using Threads = RowThreads<kThreads>;
  int64_t row = Threads::first();
  if (row >= rows) return;
  const float* x = logits + row * stride;  // rows · stride may pass 2^31
  int target = targets[row];
  float max, sum;
  DYNAMIC_SHARED(float, first);  // columns [0, kept)
  if (losses == nullptr) {
    max = stats[2 * row];
    sum = stats[2 * row + 1];
  } else {
    RowOfLogits found = row_loss<kThreads>(losses + row, stats + 2 * row, x, target, cols, form, [&](int at, const auto& v) {
      if (at < kept) store_vec(reinterpret_cast<uint32_t*>(first + at), v);
    });
    max = found.max;
    sum = found.sum;
  }
  LogitGradient gradient(dy[row], max, sum, target, cols, form);
  T* d = reinterpret_cast<T*>(logits + row * stride);
  int tiles = (cols + kUnit * kThreads - 1) / (kUnit * kThreads);
  float next[kUnit];  // one tile ahead
  auto load = [&](int tile) {
    int at = (tile * kThreads + Threads::rank()) * kUnit, count = min(cols - at, kUnit);
    if (at < kept) {
      load_floats(next, first + at);
    } else if (count == kUnit) {
      load_floats(next, x + at);
    } else {
#pragma unroll
      for (int i = 0; i < kUnit; i++) next[i] = i < count ? x[at + i] : 0.0f;
    }
  };
  load(0);
  for (int tile = 0; tile < tiles; tile++) {
    int at = (tile * kThreads + Threads::rank()) * kUnit, count = min(cols - at, kUnit);
    float v[kUnit];
#pragma unroll
    for (int i = 0; i < kUnit; i++) v[i] = next[i];
    if (tile + 1 < tiles) load(tile + 1);
    gradient(v, at);
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

#define INSTANCE(T, suffix, name, kThreads)                                                                                                 \
  KERNEL(linear_cross_entropy_##name##suffix,                                                                                                \
         (float* logits, int64_t stride, const float* dy, const int* targets, float* losses, float* stats, int64_t rows, int cols, int kept,  \
          int ignore_index, float smoothing, float z_loss, float soft_cap),                                                                   \
         RowThreads<kThreads>::kBlock) {                                                                                                      \
    linear_cross_entropy<T, kThreads>(logits, stride, dy, targets, losses, stats, rows, cols, kept, Form{ignore_index, smoothing, z_loss, soft_cap}); \
  }
#define INSTANCES(T, suffix)    \
  INSTANCE(T, suffix, , kWarp)  \
  INSTANCE(T, suffix, long_, kLong)
INSTANCES(float, f32)
INSTANCES(bf16, bf16)
INSTANCES(f16, f16)
