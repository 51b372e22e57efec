// activation.cuh: the elementwise nonlinearities f and their derivatives, in fp32. The numbers are those of
// dev.javelin.kernels.Activation, the formulas those of its comments.
//
//   gelu       x·Φ(x)                       Φ(x) + x·φ(x),  φ the normal density
//   gelu_tanh  x·σ(2u), u = √(2/π)(x + 0.044715x³)   s + x·s(1-s)·2u',  s = σ(2u)
//   silu       x·σ(x)                       s·(1 + x(1-s)),  s = σ(x)
//   relu       max(x, 0)                    [x > 0]
//   relu²      max(x, 0)²                   2·max(x, 0)
//   sigmoid    σ(x) = 1/(1 + e^-x)          s(1-s)
//   tanh       tanh x                       1 - tanh²x
//   softplus   ln(1 + e^x)                  σ(x)
#pragma once
#include "common.cuh"

enum Activation : int { kGelu, kGeluTanh, kSilu, kRelu, kReluSquared, kSigmoid, kTanh, kSoftplus };

// A function as a type, for `activation_value` and `activation_derivative`: the branch on it is then taken when the
// kernel is compiled.
template <Activation f>
struct ActivationOf {
  __device__ __forceinline__ constexpr operator Activation() const { return f; }
};
// One branch for all elements of a thread, instead of one for each.
template <class Body>
__device__ __forceinline__ void with_activation(Activation f, Body body) {
  switch (f) {
    case kGelu: body(ActivationOf<kGelu>{}); break;
    case kGeluTanh: body(ActivationOf<kGeluTanh>{}); break;
    case kSilu: body(ActivationOf<kSilu>{}); break;
    case kRelu: body(ActivationOf<kRelu>{}); break;
    case kReluSquared: body(ActivationOf<kReluSquared>{}); break;
    case kSigmoid: body(ActivationOf<kSigmoid>{}); break;
    case kTanh: body(ActivationOf<kTanh>{}); break;
    case kSoftplus: body(ActivationOf<kSoftplus>{}); break;
  }
}

// Four instructions. e^-x may become infinite or 0: then this is 0 or 1.
__device__ __forceinline__ float sigmoid(float x) { return reciprocal_approx(1.0f + exp2_approx(-1.442695041f * x)); }
// NaN stays.
__device__ __forceinline__ float positive_part(float x) { return x < 0 ? 0.0f : x; }
__device__ __forceinline__ float normal_cdf(float x) { return 0.5f + 0.5f * erff(x * 0.70710677f); }
__device__ __forceinline__ float gelu_two_u(float x) { return x * (1.5957691f + 1.5957691f * 0.044715f * x * x); }

__device__ __forceinline__ float activation_value(Activation f, float x) {
  switch (f) {
    case kGelu: return x * normal_cdf(x);
    case kGeluTanh: return x * sigmoid(gelu_two_u(x));
    case kSilu: return x * sigmoid(x);
    case kRelu: return positive_part(x);
    case kReluSquared: return positive_part(x) * positive_part(x);
    case kSigmoid: return sigmoid(x);
    case kTanh: return tanhf(x);
    case kSoftplus: return positive_part(x) + log1pf(expf(-fabsf(x)));
  }
  return x;
}

// f of all values.
template <class V, int N>
__device__ __forceinline__ void activate(Activation f, V (&v)[N]) {
  with_activation(f, [&](auto of) {
#pragma unroll
    for (int n = 0; n < N; n++) {
#pragma unroll
      for (float& x : v[n].v) x = activation_value(of, x);
    }
  });
}

__device__ __forceinline__ float activation_derivative(Activation f, float x) {
  switch (f) {
    case kGelu: return normal_cdf(x) + x * 0.3989423f * expf(-0.5f * x * x);
    case kGeluTanh: {  // s and 1 - s each by itself: what a difference of 2^-23 leaves would be multiplied by x^3
      float u = gelu_two_u(x), e = exp2_approx(-1.442695041f * fabsf(u)), near = reciprocal_approx(1.0f + e), far = e * near;
      return (u < 0 ? far : near) + x * near * far * (1.5957691f + 3.0f * 1.5957691f * 0.044715f * x * x);
    }
    case kSilu: {
      float s = sigmoid(x);
      return s * (1.0f + x * (1.0f - s));
    }
    case kRelu: return x > 0 ? 1.0f : 0.0f;
    case kReluSquared: return 2.0f * positive_part(x);
    case kSigmoid: {
      float s = sigmoid(x);
      return s * (1.0f - s);
    }
    case kTanh: {
      float t = tanhf(x);
      return 1.0f - t * t;
    }
    case kSoftplus: return sigmoid(x);
  }
  return 1.0f;
}
