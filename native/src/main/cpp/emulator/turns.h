// turns.h: turns of blocks at memory. Blocks hand a place on through a counter; what they then add to it by bulk copies
// must be in the order of the turns. Blocks of a launch may run on several operating system threads.
#pragma once
#include <cstdint>

#pragma GCC visibility push(default)
namespace emulator {

// Like a TMA store, to plain memory. adds: fp32, to what is there.
void bulkStore(void* global, const void* shared, uint32_t bytes, bool adds);

void turnWait(const int* counter, int turn);
void turnPass(int* counter, int next);

}  // namespace emulator
#pragma GCC visibility pop

namespace emulator::turns {

void beginLaunch();
void enter();  // an operating system thread begins to run blocks, and ends
void leave();
void beginBlock(uint64_t number);

// Where the current thread asked for a copy out of shared memory that no wait has covered; null: nowhere.
const void* unfinishedStore();

// The current block writes to these bytes by a bulk copy, or has written. Fails if another block has whose turn it had
// not waited for.
void issued(const void* global, uint32_t bytes, const void* site);
void written(const void* global, uint32_t bytes);

}  // namespace emulator::turns
