// async.h: copies between global and shared memory that the hardware carries out beside the thread. Here each is put
// off to the last moment the program allows, its wait, and its destination holds NaN until then: a kernel that reads
// too early, or reuses a source too early, computes nonsense in every run and not once in a while. The switch `async`
// has them done at the earliest moment instead, or at some moment between.
#pragma once
#include <cstddef>
#include <cstdint>

#pragma GCC visibility push(default)
namespace emulator::async {

void beginBlock();   // forgets what the block before left behind

// cp.async: copies the first `filled` of `bytes` bytes, zeros the rest.
void copy(void* shared, const void* global, uint32_t bytes, uint32_t filled);
void commit();
void wait(uint32_t groups);  // until at most so many of the latest groups are under way

}  // namespace emulator::async
#pragma GCC visibility pop
