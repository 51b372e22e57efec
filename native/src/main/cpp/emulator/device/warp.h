// warp.h: barriers, shuffles, votes and the other operations of a warp.
#pragma once
#include <cstdint>
#include <cstring>

#include "../warp_ops.h"
#include "builtins.h"

inline void __syncthreads() { emulator::barrier(0, 0, false); }
inline int __syncthreads_count(int predicate) { return static_cast<int>(emulator::barrier(0, 0, predicate != 0).truths); }
inline int __syncthreads_or(int predicate) { return emulator::barrier(0, 0, predicate != 0).truths != 0; }
inline int __syncthreads_and(int predicate) {
  auto [truths, threads] = emulator::barrier(0, 0, predicate != 0);
  return truths == threads;
}

inline void __syncwarp(unsigned mask = 0xffffffffu) { emulator::syncWarp(mask); }
inline unsigned __activemask() { return emulator::liveLanes(); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
inline void __nanosleep(unsigned) { emulator::yield(); }
inline long long clock64() { return static_cast<long long>(__builtin_ia32_rdtsc()); }
inline int clock() { return static_cast<int>(clock64()); }
[[noreturn]] inline void __trap() { emulator::fail("__trap"); }

// Shuffles of any value of 4 or 8 bytes (smaller ones as well: they travel in 4).
template <class T>
inline T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
  emulator::shuffle(mask, &value, sizeof value, emulator::Shuffle::index, static_cast<unsigned>(lane), width);
  return value;
}
template <class T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  emulator::shuffle(mask, &value, sizeof value, emulator::Shuffle::up, delta, width);
  return value;
}
template <class T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  emulator::shuffle(mask, &value, sizeof value, emulator::Shuffle::down, delta, width);
  return value;
}
template <class T>
inline T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32) {
  emulator::shuffle(mask, &value, sizeof value, emulator::Shuffle::exclusiveOr, static_cast<unsigned>(lanes), width);
  return value;
}

inline unsigned __ballot_sync(unsigned mask, int predicate) { return emulator::ballot(mask, predicate != 0); }
inline int __any_sync(unsigned mask, int predicate) { return emulator::ballot(mask, predicate != 0) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return emulator::ballot(mask, predicate == 0) == 0; }

template <class T>
inline unsigned __match_any_sync(unsigned mask, T value) {
  static_assert(sizeof(T) <= 8);
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof value);
  return emulator::matchAny(mask, bits);
}
template <class T>
inline unsigned __match_all_sync(unsigned mask, T value, int* all) {
  unsigned same = __match_any_sync(mask, value);
  *all = emulator::ballot(mask, same != mask) == 0;
  return *all ? mask : 0;
}

inline unsigned __reduce_add_sync(unsigned mask, unsigned value) { return emulator::reduce(mask, value, emulator::Reduce::add); }
inline int __reduce_add_sync(unsigned mask, int value) { return static_cast<int>(emulator::reduce(mask, static_cast<unsigned>(value), emulator::Reduce::add)); }
inline unsigned __reduce_min_sync(unsigned mask, unsigned value) { return emulator::reduce(mask, value, emulator::Reduce::minUnsigned); }
inline int __reduce_min_sync(unsigned mask, int value) { return static_cast<int>(emulator::reduce(mask, static_cast<unsigned>(value), emulator::Reduce::minSigned)); }
inline unsigned __reduce_max_sync(unsigned mask, unsigned value) { return emulator::reduce(mask, value, emulator::Reduce::maxUnsigned); }
inline int __reduce_max_sync(unsigned mask, int value) { return static_cast<int>(emulator::reduce(mask, static_cast<unsigned>(value), emulator::Reduce::maxSigned)); }
inline unsigned __reduce_and_sync(unsigned mask, unsigned value) { return emulator::reduce(mask, value, emulator::Reduce::bitAnd); }
inline unsigned __reduce_or_sync(unsigned mask, unsigned value) { return emulator::reduce(mask, value, emulator::Reduce::bitOr); }
inline unsigned __reduce_xor_sync(unsigned mask, unsigned value) { return emulator::reduce(mask, value, emulator::Reduce::bitXor); }
