// mbarrier.h: the barrier objects of compute capability 9.0 in shared memory.
#pragma once
#include <cstdint>
#include <string>

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
void mbarrierArriveAt(void* barrier, uint32_t rank);  // at the barrier in the same place of that block of the cluster
void mbarrierExpect(void* barrier, uint32_t bytes);  // announces bytes, then arrives
bool mbarrierTest(void* barrier, uint32_t parity);   // has the phase of this parity ended?
// Threads of other blocks have been seen by those alone who wait for them: in the scope of the cluster.
void mbarrierWait(void* barrier, uint32_t parity, bool ofCluster = false);
void fenceMbarrierInit();
void fenceProxyAsync();

}  // namespace emulator
#pragma GCC visibility pop

namespace emulator {

std::string describeMbarrier(const void* barrier);  // what it still waits for

namespace mbarriers {

// What the race check knows of one: who initialised it, and what those who waited for it have seen.
struct Known;

void beginBlock();
Mbarrier& check(void* barrier, const char* instruction, const void* site);  // fails unless this thread may use it, in its own block
void checkForCopy(void* barrier, const char* instruction, const void* site);     // or by a copy of this thread
uint32_t actor(const Mbarrier& barrier);  // of the copies that complete on it
uint32_t phase(const Mbarrier& barrier);  // the number of the phase that is under way, from 1
void arrived(Mbarrier& barrier, uint32_t bytes);  // of a copy

}  // namespace mbarriers
}  // namespace emulator
