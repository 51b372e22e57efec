// moment_code.cuh: numbers within 1 in eight bits, as fourth powers; the codes of kernels.cpu.MomentCode, where they are drawn.
#pragma once
#include "common.cuh"

constexpr float kSignedTop = 127.0f, kUnsignedTop = 255.0f;

__device__ __forceinline__ float fourth_power(float c, float top) {
  float x = c * (1.0f / top), square = x * x;
  return square * square;
}
__device__ __forceinline__ float from_signed8(uint32_t code) {
  float c = static_cast<int8_t>(code);
  return copysignf(fourth_power(c, kSignedTop), c);
}
__device__ __forceinline__ float from_unsigned8(uint32_t code) { return fourth_power(static_cast<float>(code), kUnsignedTop); }

__device__ __forceinline__ float fourth_root(float magnitude, float top) { return fminf(rintf(sqrtf(sqrtf(magnitude)) * top), top); }
__device__ __forceinline__ uint32_t to_signed8(float x) {
  int c = static_cast<int>(fourth_root(fabsf(x), kSignedTop));
  return static_cast<uint8_t>(x < 0 ? -c : c);
}
// What is more than 0 never becomes it.
__device__ __forceinline__ uint32_t to_unsigned8(float x) {
  uint32_t c = static_cast<uint32_t>(fourth_root(x, kUnsignedTop));
  return x > 0 && c == 0 ? 1 : c;
}
