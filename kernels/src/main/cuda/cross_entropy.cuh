// cross_entropy.cuh: the form of the loss, the loss of a row of logits and its derivative by each of them, for the kernels
// that compute them.
#pragma once
#include "row.cuh"
#include "softmax.cuh"

struct Form {
  int ignore_index;
  float smoothing, z_loss, soft_cap;
  __device__ __forceinline__ float capped(float x) const { return soft_cap > 0 ? soft_cap * tanhf(x / soft_cap) : x; }
  // One branch for all.
  template <int N>
  __device__ __forceinline__ void cap(float (&x)[N]) const {
    if (soft_cap <= 0) return;
#pragma unroll
    for (int i = 0; i < N; i++) x[i] = soft_cap * tanhf(x[i] / soft_cap);
  }
};

constexpr int kUnderWay = 4;  // vectors of a row that a thread reads at a time

// Columns before the first vector of a row, as many as bring it to a 16-byte boundary.
template <class T>
__device__ __forceinline__ int columns_before_vectors(const T* row, int cols) {
  int misaligned = static_cast<int>(reinterpret_cast<uintptr_t>(row) % 16) / static_cast<int>(sizeof(T));
  return min((kVecLength<T> - misaligned) % kVecLength<T>, cols);
}

// What one pass over a row of logits finds, the same in all of its threads.
struct RowOfLogits {
  float max, sum;  // the largest, and Σ e^(x - max)
  float total;     // Σ x, where there is smoothing

  // Rows need not be aligned: the columns before the first vector and behind the last one are taken one by one. `keep` is
  // shown each vector and its first column.
  template <int kThreads, class T, class Keep>
  __device__ __forceinline__ static RowOfLogits of(const T* x, int cols, Form form, Keep keep) {
    constexpr int N = kVecLength<T>;
    using Threads = RowThreads<kThreads>;
    Exponentials e = {};
    float total = 0;
    auto take = [&](auto& v) {
      form.cap(v);
      if (form.smoothing > 0) {
        for (float logit : v) total += logit;
      }
      e.add(v);
    };
    auto one = [&](int at) {
      float v[1] = {to_float(x[at])};
      take(v);
    };
    int before = columns_before_vectors(x, cols), vectors = (cols - before) / N;
    auto vector = [&](int unit, const Packed<T, N>& packed) {
      keep(before + unit * N, packed);
      float v[N];
      unpack<T>(v, packed);
      take(v);
    };
    const T* first = x + before;
    if (Threads::rank() < before) one(Threads::rank());
    int unit = Threads::rank();
    for (; unit + (kUnderWay - 1) * kThreads < vectors; unit += kUnderWay * kThreads) {
      Packed<T, N> v[kUnderWay];
#pragma unroll
      for (int k = 0; k < kUnderWay; k++) v[k] = load_packed<N>(first + (unit + k * kThreads) * N);
#pragma unroll
      for (int k = 0; k < kUnderWay; k++) vector(unit + k * kThreads, v[k]);
    }
    for (; unit < vectors; unit += kThreads) vector(unit, load_packed<N>(first + unit * N));
    for (int at = before + vectors * N + Threads::rank(); at < cols; at += kThreads) one(at);
    e.reduce<Threads>();
    if (form.smoothing > 0) total = Threads::sum(total);
    return {e.max, e.sum, total};
  }

  template <class T>
  __device__ __forceinline__ float loss(const T* x, int target, int cols, Form form) const {
    return loss(target < 0 || target >= cols ? NAN : form.capped(to_float(x[target])), cols, form);
  }
  // Of the target's logit.
  __device__ __forceinline__ float loss(float hit, int cols, Form form) const {
    double log_sum = logf(sum);
    double loss = log_sum - (hit - max);
    if (form.smoothing > 0) loss += form.smoothing * (log_sum + max - total / static_cast<double>(cols) - loss);
    double lse = max + log_sum;
    return static_cast<float>(loss + form.z_loss * lse * lse);
  }
};

// The loss of a row and, for its gradient, the first two numbers of RowOfLogits: written by one thread, which has read the
// target's logit by then; returned to all.
template <int kThreads, class T, class Keep>
__device__ __forceinline__ RowOfLogits row_loss(float* loss, float* stats, const T* x, int target, int cols, Form form, Keep keep) {
  bool ignored = target == form.ignore_index;
  RowOfLogits row = ignored ? RowOfLogits{0, 1, 0} : RowOfLogits::of<kThreads>(x, cols, form, keep);
  if (RowThreads<kThreads>::rank() == 0) {
    *loss = ignored ? 0 : row.loss(x, target, cols, form);
    stats[0] = row.max;
    stats[1] = row.sum;
  }
  return row;
}

// dx[v] = dy·((1 + 2·z·lse)·p[v] - s/V - (1-s)·[v = t]), times the slope of the soft cap; see cross_entropy.cu.
struct LogitGradient {
  float max, factor, less, hit;
  int target;
  bool ignored;
  Form form;

  // Of a row's largest logit and Σ e^(x - max).
  __device__ __forceinline__ LogitGradient(float dy, float max, float sum, int target, int cols, Form form)
      : max(max), target(target), ignored(target == form.ignore_index), form(form) {
    float slope = form.z_loss == 0 ? 0.0f : 2.0f * form.z_loss * (max + logf(sum));
    factor = dy * (1.0f + slope) / sum;
    less = dy * form.smoothing / static_cast<float>(cols);
    hit = dy * (1.0f - form.smoothing);
  }
  // Of neighbours from column `at` on, in the place of their logits.
  template <int N>
  __device__ __forceinline__ void operator()(float (&v)[N], int at) const {
    form.cap(v);
    float d[N];
#pragma unroll
    for (int i = 0; i < N; i++) d[i] = exponential(v[i] - max) * factor - less;
    if (static_cast<unsigned>(target - at) < N) {
#pragma unroll
      for (int i = 0; i < N; i++) d[i] -= at + i == target ? hit : 0.0f;
    }
    if (form.soft_cap > 0) {
#pragma unroll
      for (int i = 0; i < N; i++) {
        float c = v[i] / form.soft_cap;
        d[i] *= 1.0f - c * c;
      }
    }
#pragma unroll
    for (int i = 0; i < N; i++) v[i] = ignored ? 0.0f : d[i];
  }
};
