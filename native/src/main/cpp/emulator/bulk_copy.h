// bulk_copy.h: copies of compute capability 9.0 between global and shared memory: plain ones, and boxes of tensor maps.
#pragma once
#include <cstdint>

#pragma GCC visibility push(default)
namespace emulator {

// Copies into shared memory, which complete on a barrier. At the latest they take place when no thread can go on.
void bulkLoad(void* shared, const void* global, uint32_t bytes, void* barrier);
void tmaLoad(void* shared, const void* map, void* barrier, const int* coordinates, int rank);
// To the same place in each block of the cluster whose bit is set, each on its own barrier.
void tmaLoadMulticast(void* shared, const void* map, void* barrier, const int* coordinates, int rank, uint32_t blocks);

// Copies out of shared memory, in groups by thread. At the latest they read at the wait for that, and write at the wait
// for all, or when the block ends.
void tmaStore(const void* map, const void* shared, const int* coordinates, int rank);
void storeCommit();
void storeWaitRead(uint32_t groups);
void storeWait(uint32_t groups);

}  // namespace emulator
#pragma GCC visibility pop

namespace emulator::bulk {

void beginBlock();
void threadEnded();
void allEnded();
void blockEnded(uint32_t rank);    // of the cluster
bool land();                       // one load that is under way arrives; false: none is
void landOn(const void* barrier);  // those of one barrier

}  // namespace emulator::bulk
