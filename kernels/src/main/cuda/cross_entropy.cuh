// cross_entropy.cuh: the form of the loss, and its derivative by a logit, for the kernels that compute it.
#pragma once
#include "common.cuh"

struct Form {
  int ignore_index;
  float smoothing, z_loss, soft_cap;
  __device__ __forceinline__ float capped(float x) const { return soft_cap > 0 ? soft_cap * tanhf(x / soft_cap) : x; }
};

// dx[v] = dy·((1 + 2·z·lse)·p[v] - s/V - (1-s)·[v = t]), times the slope of the soft cap; see cross_entropy.cu.
struct LogitGradient {
  float max, factor, less, hit;
  int target;
  bool ignored;
  Form form;

  // stats: the row's largest logit and Σ e^(x - max).
  __device__ __forceinline__ LogitGradient(float dy, const float* stats, int target, int cols, Form form)
      : max(stats[0]), target(target), ignored(target == form.ignore_index), form(form) {
    float sum = stats[1];
    float slope = form.z_loss == 0 ? 0.0f : 2.0f * form.z_loss * (max + logf(sum));
    factor = dy * (1.0f + slope) / sum;
    less = dy * form.smoothing / static_cast<float>(cols);
    hit = dy * (1.0f - form.smoothing);
  }
  __device__ __forceinline__ float operator()(float logit, int column) const {
    float v = form.capped(logit);
    float d = expf(v - max) * factor - less;
    if (column == target) d -= hit;
    if (form.soft_cap > 0) {
      float c = v / form.soft_cap;
      d *= 1.0f - c * c;
    }
    return ignored ? 0.0f : d;
  }
};
