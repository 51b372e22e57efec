#include "tensor_sum.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "runtime.h"
#include "settings.h"

namespace emulator {
namespace {

constexpr int kFraction = 23;

// A number as significand · 2^exponent with the significand below 2^24. Subnormal numbers keep the smallest exponent of
// their type, so their significand has leading zeros, which an alignment then takes for bits.
struct Term {
  int64_t significand;  // of a product: 46 bits after the point
  int exponent;
};

Term split(float x, int smallest) {
  int exponent;
  frexpf(x, &exponent);
  exponent = std::max(exponent - 1, smallest);
  return {static_cast<int64_t>(ldexp(static_cast<double>(x), kFraction - exponent)), exponent};
}

int64_t cut(int64_t significand, int bits) {  // towards zero
  int64_t magnitude = bits > 62 ? 0 : llabs(significand) >> bits;
  return significand < 0 ? -magnitude : magnitude;
}

float sum(MmaType type, float c, const float* a, const float* b, int stride, int count, int spare) {
  int smallest = type == MmaType::f16 ? -14 : -126;
  Term terms[17];
  int n = 0, largest = -133;
  for (int k = 0; k < count; k++) {
    float x = a[k], y = b[k * stride];
    if (x == 0 || y == 0) continue;
    Term p = split(x, smallest), q = split(y, smallest);
    terms[n++] = {cut(p.significand * q.significand, kFraction), p.exponent + q.exponent};  // exact: inputs have 11 bits
  }
  if (c != 0) terms[n++] = split(c, -126);
  for (int i = 0; i < n; i++) largest = std::max(largest, terms[i].exponent);
  int64_t total = 0;
  for (int i = 0; i < n; i++) total += cut(terms[i].significand << spare, largest - terms[i].exponent);
  int last = largest - kFraction - spare;  // the exponent of the last bit of the sum
  int bits = total == 0 ? 0 : 64 - __builtin_clzll(static_cast<unsigned long long>(llabs(total)));
  int drop = std::max({bits - (kFraction + 1), -149 - last, 0});
  return ldexpf(static_cast<float>(cut(total, drop)), last + drop);
}

}  // namespace

bool tensorTruncates() { return settings().tensorTruncates; }

float tensorSum(MmaType type, float c, const float* a, const float* b, int stride, int count) {
  bool hopper = capability() >= 90;
  int group = (hopper ? 16 : 8) / (type == MmaType::tf32 ? 2 : 1), spare = hopper ? 2 : 1;
  for (int first = 0; first < count; first += group) {
    int n = std::min(group, count - first);
    bool finite = std::isfinite(c);
    float plain = c;
    for (int k = first; k < first + n; k++) {
      finite = finite && std::isfinite(a[k]) && std::isfinite(b[k * stride]);
      plain += a[k] * b[k * stride];
    }
    c = finite ? sum(type, c, a + first, b + first * stride, stride, n, spare) : plain;
  }
  return c;
}

}  // namespace emulator
