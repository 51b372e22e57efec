// mbarrier.h: the barrier objects of compute capability 9.0 in shared memory, and the bulk copies that complete on them.
#pragma once
#include <cstdint>

#pragma GCC visibility push(default)
namespace emulator {

// A phase ends when `expected` threads have arrived and as many bytes as were announced have come. 64 bits, as on a
// device; what the bits mean is nobody else's concern.
struct Mbarrier {
  uint16_t expected, pending;
  int32_t bytesAndParity;  // 2·(bytes announced, not yet come) + parity of the phase
};
static_assert(sizeof(Mbarrier) == 8);

void mbarrierInit(void* barrier, uint32_t arrivals);
void mbarrierArrive(void* barrier);
void mbarrierExpect(void* barrier, uint32_t bytes);  // announces bytes, then arrives
bool mbarrierTest(void* barrier, uint32_t parity);   // has the phase of this parity ended?
void mbarrierWait(void* barrier, uint32_t parity);

// Copies that complete on a barrier. They take place when a thread looks at that barrier.
void bulkLoad(void* shared, const void* global, uint32_t bytes, void* barrier);
void tmaLoad(void* shared, const void* map, void* barrier, const int* coordinates, int rank);

// Copies out of shared memory, in groups by thread. They take place at the wait, or when the thread ends.
void tmaStore(const void* map, const void* shared, const int* coordinates, int rank);
void storeCommit();
void storeWait(uint32_t groups);

}  // namespace emulator
#pragma GCC visibility pop

namespace emulator::bulk {
void beginBlock();
void threadEnded();
}  // namespace emulator::bulk
