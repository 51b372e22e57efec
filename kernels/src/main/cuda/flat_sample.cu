// flat_sample.cu: statistics of some elements of each part of a flat buffer, for the log. Part p has the runs
// firsts[p] … firsts[p+1], of 16 elements each; run r begins at element starts[r] and ends at ends[p] at the latest.
//   copy       to[16·r + k] = x[starts[r] + k]
//   change     to[p] = (√Σ (x - before)², √Σ before²)
//   ratios     counts[p] = histogram of |m|/√v, a bin for each power of 2
//   underflow  counts[p] = (zeros, those that a half type rounds to zero, those that it keeps with fewer bits)
// Tiling: a block of 256 threads a part, 16 neighbouring threads a run, so that an access is whole lines.
// Traffic: 4 to 8 bytes an element of the sample. Sums are in double, in a fixed order; counts are integers.
// Measured: not yet.
#include "row.cuh"
#include "step_state.cuh"

constexpr int kThreads = 256;
constexpr int kRun = 16;
constexpr int kBins = 22;         // dev.javelin.tensor.op.FlatSample
constexpr int kSmallest = -16;    // the second bin is from 2^kSmallest on
constexpr int kUnderflows = 3;

// f(place in the sample, element of the buffer), for the elements of this block's part.
template <class F>
__device__ __forceinline__ void each(const int64_t* ends, const int64_t* firsts, const int64_t* starts, F f) {
  int64_t end = ends[blockIdx.x];
  int64_t to = firsts[blockIdx.x + 1] * kRun;
  for (int64_t place = firsts[blockIdx.x] * kRun + threadIdx.x; place < to; place += kThreads) {
    int64_t i = starts[place / kRun] + place % kRun;
    if (i < end) f(place, i);
  }
}

// counts[part] = what f counts for its elements: the bin of each, or none where that is negative.
template <int kBins, class F>
__device__ __forceinline__ void count(int* counts, int* shared, const int64_t* ends, const int64_t* firsts, const int64_t* starts, F bin) {
  for (int i = threadIdx.x; i < kBins; i += kThreads) shared[i] = 0;
  __syncthreads();
  each(ends, firsts, starts, [&](int64_t, int64_t i) {
    int b = bin(i);
    if (b >= 0) atomicAdd(shared + b, 1);  // integers: any order gives the same
  });
  __syncthreads();
  for (int i = threadIdx.x; i < kBins; i += kThreads) counts[int64_t{blockIdx.x} * kBins + i] = shared[i];
}

template <class T>
__device__ void change(float* to, const float* before, const T* x, const int64_t* ends, const int64_t* firsts, const int64_t* starts) {
  double moved = 0, was = 0;
  each(ends, firsts, starts, [&](int64_t place, int64_t i) {
    double b = before[place];
    double d = to_float(x[i]) - b;
    moved += d * d;
    was += b * b;
  });
  moved = block_sum_double<kThreads>(moved);
  was = block_sum_double<kThreads>(was);
  if (threadIdx.x != 0) return;
  to[2 * blockIdx.x] = static_cast<float>(sqrt(moved));
  to[2 * blockIdx.x + 1] = static_cast<float>(sqrt(was));
}

KERNEL(flat_sample_ratios, (int* counts, const float* m, const float* v, const int64_t* ends, const int64_t* firsts, const int64_t* starts), kThreads) {
  __shared__ int shared[kBins];
  count<kBins>(counts, shared, ends, firsts, starts, [=](int64_t i) {
    if (m[i] == 0) return 0;
    double square = double(m[i]) * m[i] / v[i];
    int64_t bits = *reinterpret_cast<const int64_t*>(&square);
    int exponent = (static_cast<int>(bits >> 52 & 0x7ff) - 1023) >> 1;  // of the root, rounded down
    int bin = exponent - kSmallest + 1;
    return bin < 0 ? 0 : bin >= kBins ? kBins - 1 : bin;
  });
}

// The bits of the largest magnitude that becomes zero, and of the smallest that keeps all its bits.
KERNEL(flat_sample_underflow, (int* counts, const float* x, const int64_t* ends, const int64_t* firsts, const int64_t* starts, int vanishes, int normal),
       kThreads) {
  __shared__ int shared[kUnderflows];
  count<kUnderflows>(counts, shared, ends, firsts, starts, [=](int64_t i) {
    int bits = static_cast<int>(__float_as_uint(x[i]) & 0x7fffffffu);
    return bits == 0 ? 0 : bits <= vanishes ? 1 : bits < normal ? 2 : -1;
  });
}

#define INSTANCE(T, suffix)                                                                                                              \
  KERNEL(flat_sample_copy_##suffix, (float* to, const T* x, const int64_t* ends, const int64_t* firsts, const int64_t* starts), kThreads) {     \
    each(ends, firsts, starts, [&](int64_t place, int64_t i) { to[place] = to_float(x[i]); });                                           \
  }                                                                                                                                      \
  KERNEL(flat_sample_change_##suffix,                                                                                                    \
         (float* to, const float* before, const T* x, const int64_t* ends, const int64_t* firsts, const int64_t* starts), kThreads) {    \
    change(to, before, x, ends, firsts, starts);                                                                                         \
  }
INSTANCE(float, f32)
INSTANCE(bf16, bf16)
INSTANCE(f16, f16)
