// wgmma.h: the asynchronous matrix product of a warpgroup, d[64,n] (+)= a[64,16]·b[16,n].
#pragma once
#include <cstdint>

#include "tensor_core.h"

#pragma GCC visibility push(default)
namespace emulator {

// One lane's share of an instruction.
struct Wgmma {
  MmaType type;
  int n;
  float* d;            // n / 2 accumulators
  bool accumulate;     // false: d is written without being read
  uint64_t a, b;       // descriptors of matrices in shared memory
  const uint32_t* fragment;  // a in registers (four), instead of its descriptor
  bool transposedA, transposedB;  // stored with m, n running fastest, not k
};

void wgmma(const Wgmma& share);
void wgmmaFence();
void wgmmaCommit();
void wgmmaWait(uint32_t groups);

// The descriptor's address field: an offset into the block's shared memory.
uint64_t sharedOffset(const void* p);

}  // namespace emulator
#pragma GCC visibility pop

namespace emulator::warpgroup {
void beginBlock(uint32_t threads);
void threadEnded();
}
