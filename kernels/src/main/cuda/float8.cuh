// float8.cuh: numbers in eight bits, as small floats; the codes of kernels.cpu.Float8, where they are drawn.
#pragma once
#include "common.cuh"

constexpr float kSignedTop = 1.875f, kUnsignedTop = 1.9375f;

__device__ __forceinline__ float from_unsigned8(uint32_t code) { return code < 16 ? code * 0x1p-18f : __uint_as_float((code << 19) + (112u << 23)); }
__device__ __forceinline__ uint32_t to_unsigned8(float x) {
  uint32_t bits = __float_as_uint(x);
  return bits < 113u << 23 ? static_cast<uint32_t>(rintf(x * 0x1p18f)) : ((bits + 0x3ffff + (bits >> 19 & 1)) >> 19) - (112 << 4);
}
__device__ __forceinline__ float from_signed8(uint32_t code) {
  uint32_t magnitude = code & 0x7f;
  float x = magnitude < 8 ? magnitude * 0x1p-17f : __uint_as_float((magnitude << 20) + (112u << 23));
  return code & 0x80 ? -x : x;
}
__device__ __forceinline__ uint32_t to_signed8(float x) {
  uint32_t bits = __float_as_uint(x), magnitude = bits & 0x7fffffffu;
  uint32_t code = magnitude < 113u << 23 ? static_cast<uint32_t>(rintf(fabsf(x) * 0x1p17f)) : ((magnitude + 0x7ffff + (magnitude >> 20 & 1)) >> 20) - (112 << 3);
  return code | (bits >> 31 << 7);
}
