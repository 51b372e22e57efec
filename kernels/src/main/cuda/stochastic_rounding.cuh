// stochastic_rounding.cuh: fp32 to bf16, up or down by chance, so that the mean of many roundings is the number itself; the
//   bits of kernels.cpu.StochasticRounding.                                     Gupta et al. 2015, arXiv:1502.02551
// A uniform 16-bit number is added to the 16 bits that fall away. For element e of step t it is half e mod 8 of the block of
//   Philox at counter (e/8, e/8 >> 32, t, kRoundingStream) under the run's seed.
#pragma once
#include "philox.cuh"
#include "step_state.cuh"

constexpr uint32_t kRoundingStream = 0x726F756Eu;

__device__ __forceinline__ uint16_t round_stochastically(float x, uint32_t random) {
  uint32_t bits = __float_as_uint(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(bits >> 16 | 0x40);  // NaN
  return static_cast<uint16_t>((bits + random) >> 16);
}

// N neighbours, which are elements i and on, all of one block of eight. Other types than bf16 are not rounded so.
template <int N, class T>
__device__ __forceinline__ void store_stochastically(T* to, int64_t i, const float (&x)[N], const StepState* s) {
  static_assert(N == 1 || N == 4);
  if constexpr (sizeof(T) != sizeof(bf16)) return;
  uint32_t words[kWords] = {static_cast<uint32_t>(i / 8), static_cast<uint32_t>(i / 8 >> 32), static_cast<uint32_t>(s->step), kRoundingStream};
  philox(words, static_cast<uint32_t>(s->seed), static_cast<uint32_t>(s->seed >> 32));
  int half = static_cast<int>(i % 8);
#pragma unroll
  for (int j = 0; j < N; j++, half++) {
    uint32_t low = half / 2 == 0 ? words[0] : half / 2 == 1 ? words[1] : half / 2 == 2 ? words[2] : words[3];  // no local memory
    reinterpret_cast<uint16_t*>(to)[j] = round_stochastically(x[j], low >> 16 * (half % 2) & 0xffffu);
  }
}
