// atomics.h: atomic operations on global and shared memory. Blocks may run on several operating system threads, so
// these are atomic in earnest.
#pragma once
#include <cstdint>

// Atomic operations order threads; the check of plain accesses has no business with them.
#define UNCHECKED __attribute__((no_sanitize("thread")))

namespace emulator {

// Replaces *p by f(*p); returns what was there.
template <class T, class F>
UNCHECKED inline T atomicUpdate(T* p, F f) {
  T old, now;
  __atomic_load(p, &old, __ATOMIC_RELAXED);
  do {
    now = f(old);
  } while (!__atomic_compare_exchange(p, &old, &now, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
  return old;
}

}  // namespace emulator

#define ATOMIC(T, name, expression) \
  inline T name(T* p, T v) {        \
    return emulator::atomicUpdate(p, [v](T old) { return static_cast<T>(expression); }); \
  }
#define INTEGER_ATOMICS(T)                       \
  ATOMIC(T, atomicAdd, old + v)                  \
  ATOMIC(T, atomicSub, old - v)                  \
  ATOMIC(T, atomicMin, old < v ? old : v)        \
  ATOMIC(T, atomicMax, old > v ? old : v)        \
  ATOMIC(T, atomicAnd, old & v)                  \
  ATOMIC(T, atomicOr, old | v)                   \
  ATOMIC(T, atomicXor, old ^ v)                  \
  ATOMIC(T, atomicExch, (static_cast<void>(old), v)) \
  UNCHECKED inline T atomicCAS(T* p, T expected, T v) {    \
    __atomic_compare_exchange(p, &expected, &v, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE); \
    return expected;                             \
  }

INTEGER_ATOMICS(int)
INTEGER_ATOMICS(unsigned)
INTEGER_ATOMICS(unsigned long long)
ATOMIC(float, atomicAdd, old + v)
ATOMIC(double, atomicAdd, old + v)
ATOMIC(float, atomicExch, (static_cast<void>(old), v))
// Counts up to v, then starts again at 0: the ticket of "last block done".
ATOMIC(unsigned, atomicInc, old >= v ? 0 : old + 1)
ATOMIC(unsigned, atomicDec, old == 0 || old > v ? v : old - 1)
#undef INTEGER_ATOMICS
#undef ATOMIC
#undef UNCHECKED
