// tensor_core.h: the wrappers of common.cuh around mma.sync, ldmatrix, cp.async and named barriers.
#pragma once
#include <cstdint>

#include "../async.h"
#include "../tensor_core.h"
#include "half.h"
#include "warp.h"

template <class T>
inline void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
template <>
inline void mma_m16n8k16<__nv_bfloat16>(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  emulator::mma(emulator::MmaType::bf16, d, a, b);
}
template <>
inline void mma_m16n8k16<__half>(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  emulator::mma(emulator::MmaType::f16, d, a, b);
}
inline void mma_m16n8k8_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { emulator::mma(emulator::MmaType::tf32, d, a, b); }

// To nearest, ties away from zero: cvt.rna.tf32.
inline uint32_t to_tf32(float x) {
  uint32_t u = emulator::bitsOf(x);
  return (u & 0x7f800000) == 0x7f800000 ? u : (u + 0x1000) & 0xffffe000;
}

inline void ldmatrix_x1(uint32_t (&r)[1], const void* row) { emulator::loadMatrices(r, 1, false, row); }
inline void ldmatrix_x2(uint32_t (&r)[2], const void* row) { emulator::loadMatrices(r, 2, false, row); }
inline void ldmatrix_x4(uint32_t (&r)[4], const void* row) { emulator::loadMatrices(r, 4, false, row); }
inline void ldmatrix_x1_trans(uint32_t (&r)[1], const void* row) { emulator::loadMatrices(r, 1, true, row); }
inline void ldmatrix_x2_trans(uint32_t (&r)[2], const void* row) { emulator::loadMatrices(r, 2, true, row); }
inline void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row) { emulator::loadMatrices(r, 4, true, row); }

template <int kBytes>
inline void cp_async(void* shared, const void* global) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
  emulator::async::copy(shared, global, kBytes, kBytes);
}
template <int kBytes>
inline void cp_async(void* shared, const void* global, int filled) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
  emulator::async::copy(shared, global, kBytes, static_cast<uint32_t>(filled));
}
inline void cp_async_commit() { emulator::async::commit(); }
template <int kGroups>
inline void cp_async_wait() {
  emulator::async::wait(kGroups);
}

inline void named_barrier_sync(int number, int threads) { emulator::barrier(static_cast<uint32_t>(number), static_cast<uint32_t>(threads), false); }
inline void named_barrier_arrive(int number, int threads) { emulator::barrierArrive(static_cast<uint32_t>(number), static_cast<uint32_t>(threads)); }

inline float warp_sum(float v) { return emulator::butterfly(v, emulator::FloatReduce::add); }
inline float warp_max(float v) { return emulator::butterfly(v, emulator::FloatReduce::max); }
inline float warp_min(float v) { return emulator::butterfly(v, emulator::FloatReduce::min); }

inline float exp2_approx(float x) { return exp2f(x); }
inline float reciprocal_approx(float x) { return emulator::reciprocal(x); }
// An error of 2^-11 relative to the result.
inline float tanh_approx(float x) { return emulator::bounded(emulator::approximate(std::tanh(x), x, 1 << 12)); }
