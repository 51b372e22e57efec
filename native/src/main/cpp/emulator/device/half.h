// half.h: bf16 and fp16 as storage, with the conversions of cuda_bf16.h and cuda_fp16.h that kernels use. There is no
// arithmetic on them: kernels compute in fp32. Rounding is to nearest, ties to even, as __float2bfloat16 does it.
#pragma once
#include <cstdint>
#include <cstring>

#include "vector_types.h"

namespace emulator {

inline uint32_t bitsOf(float f) {
  uint32_t u;
  memcpy(&u, &f, 4);
  return u;
}

inline float floatOf(uint32_t u) {
  float f;
  memcpy(&f, &u, 4);
  return f;
}

// sign 1 | exponent 8 | mantissa 7: the upper half of a float.
inline float bf16ToFloat(uint16_t h) { return floatOf(uint32_t{h} << 16); }

inline uint16_t floatToBf16(float f) {
  uint32_t u = bitsOf(f);
  if ((u & 0x7fffffff) > 0x7f800000) return 0x7fff;  // every NaN becomes this one
  return static_cast<uint16_t>((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

// sign 1 | exponent 5 (bias 15) | mantissa 10.
inline float f16ToFloat(uint16_t h) {
  uint32_t sign = uint32_t{h & 0x8000u} << 16, rest = h & 0x7fff;
  if (rest >= 0x7c00) return floatOf(sign | 0x7f800000 | (rest & 0x3ff) << 13);  // infinity, NaN
  // A float with this exponent and mantissa is 2^112 too small, subnormals included.
  return floatOf(sign | bitsOf(floatOf(rest << 13) * 0x1p112f));
}

inline uint16_t floatToF16(float f) {
  uint32_t u = bitsOf(f), sign = u >> 16 & 0x8000, rest = u & 0x7fffffff;
  if (rest > 0x7f800000) return 0x7fff;
  if (rest >= 0x477ff000) return static_cast<uint16_t>(sign | 0x7c00);  // rounds to 65536 or more
  if (rest < 0x38800000) {
    // Below 2^-14 the step is 2^-24: adding 1/2 puts it at the last place of a float, which rounds to nearest even.
    return static_cast<uint16_t>(sign | (bitsOf(floatOf(rest) + 0.5f) - bitsOf(0.5f)));
  }
  rest += 0xfff + (rest >> 13 & 1);
  return static_cast<uint16_t>(sign | (rest - (112u << 23)) >> 13);
}

}  // namespace emulator

struct alignas(2) __nv_bfloat16 {
  uint16_t bits;
  __nv_bfloat16() = default;
  __nv_bfloat16(float f) : bits(emulator::floatToBf16(f)) {}
  operator float() const { return emulator::bf16ToFloat(bits); }
};

struct alignas(2) __half {
  uint16_t bits;
  __half() = default;
  __half(float f) : bits(emulator::floatToF16(f)) {}
  operator float() const { return emulator::f16ToFloat(bits); }
};

struct alignas(4) __nv_bfloat162 {
  __nv_bfloat16 x, y;
};

struct alignas(4) __half2 {
  __half x, y;
};

using half = __half;
using half2 = __half2;

inline float __bfloat162float(__nv_bfloat16 h) { return h; }
inline __nv_bfloat16 __float2bfloat16(float f) { return f; }
inline __nv_bfloat16 __float2bfloat16_rn(float f) { return f; }
inline float2 __bfloat1622float2(__nv_bfloat162 h) { return {h.x, h.y}; }
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {x, y}; }
inline __nv_bfloat162 __float22bfloat162_rn(float2 v) { return {v.x, v.y}; }
inline uint16_t __bfloat16_as_ushort(__nv_bfloat16 h) { return h.bits; }
inline __nv_bfloat16 __ushort_as_bfloat16(uint16_t bits) {
  __nv_bfloat16 h;
  h.bits = bits;
  return h;
}

inline float __half2float(__half h) { return h; }
inline __half __float2half(float f) { return f; }
inline __half __float2half_rn(float f) { return f; }
inline float2 __half22float2(__half2 h) { return {h.x, h.y}; }
inline __half2 __floats2half2_rn(float x, float y) { return {x, y}; }
inline __half2 __float22half2_rn(float2 v) { return {v.x, v.y}; }
inline uint16_t __half_as_ushort(__half h) { return h.bits; }
inline __half __ushort_as_half(uint16_t bits) {
  __half h;
  h.bits = bits;
  return h;
}
