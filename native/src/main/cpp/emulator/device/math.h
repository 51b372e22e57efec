// math.h: CUDA's mathematical and bit functions beyond those of C. Functions that a device approximates are computed
// exactly here, or as far off as JAVELIN_EMULATOR_FAST asks for.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

using std::isfinite;
using std::isinf;
using std::isnan;

#include "../fast_math.h"

namespace emulator {

// What a device computes to within two units in the last place (CUDA C++ Programming Guide, "Mathematical Functions"),
// moved by as much as that where JAVELIN_EMULATOR_FAST says so. At 0 they are exact on a device too.
inline float approximate(float y, float x, int units = 2) { return fast == Fast::exact || x == 0 ? y : inexact(y, x, units); }
inline float bounded(float y) { return fminf(fmaxf(y, -1.0f), 1.0f); }

inline float exp(float x) { return approximate(::expf(x), x); }
inline float exp2(float x) { return approximate(::exp2f(x), x); }
inline float log(float x) { return approximate(::logf(x), x); }
inline float log2(float x) { return approximate(::log2f(x), x); }
inline float log1p(float x) { return approximate(::log1pf(x), x); }
inline float pow(float x, float y) { return approximate(::powf(x, y), x); }
inline float sin(float x) { return approximate(::sinf(x), x); }
inline float cos(float x) { return approximate(::cosf(x), x); }
inline float tanh(float x) { return bounded(approximate(::tanhf(x), x)); }
inline float erf(float x) { return bounded(approximate(::erff(x), x)); }
inline float reciprocal(float x) { return approximate(1.0f / x, x); }

}  // namespace emulator

#define expf emulator::exp
#define exp2f emulator::exp2
#define logf emulator::log
#define log2f emulator::log2
#define log1pf emulator::log1p
#define powf emulator::pow
#define sinf emulator::sin
#define cosf emulator::cos
#define tanhf emulator::tanh
#define erff emulator::erf

inline float __expf(float x) { return expf(x); }
inline float __exp2f(float x) { return exp2f(x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __tanhf(float x) { return tanhf(x); }
inline float rsqrtf(float x) { return emulator::approximate(1.0f / sqrtf(x), x); }
inline float __frsqrt_rn(float x) { return 1.0f / sqrtf(x); }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __fdividef(float x, float y) { return emulator::approximate(x / y, y); }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fsub_rn(float x, float y) { return x - y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline float __saturatef(float x) { return x < 0 ? 0 : x > 1 ? 1 : x; }

inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
inline unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
inline long min(long a, long b) { return a < b ? a : b; }
inline long max(long a, long b) { return a > b ? a : b; }
inline long long min(long long a, long long b) { return a < b ? a : b; }
inline long long max(long long a, long long b) { return a > b ? a : b; }
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }

namespace emulator {

template <class To, class From>
inline To bitCast(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

}  // namespace emulator

inline float __int_as_float(int i) { return emulator::bitCast<float>(i); }
inline int __float_as_int(float f) { return emulator::bitCast<int>(f); }
inline float __uint_as_float(unsigned u) { return emulator::bitCast<float>(u); }
inline unsigned __float_as_uint(float f) { return emulator::bitCast<unsigned>(f); }
inline double __longlong_as_double(long long i) { return emulator::bitCast<double>(i); }
inline long long __double_as_longlong(double d) { return emulator::bitCast<long long>(d); }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __clzll(long long x) { return x == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(uint64_t{a} * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}
inline unsigned __brev(unsigned x) {
  unsigned r = 0;
  for (int i = 0; i < 32; i++) r |= (x >> i & 1) << (31 - i);
  return r;
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>(((uint64_t{high} << 32 | low) << (shift & 31)) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((uint64_t{high} << 32 | low) >> (shift & 31));
}
