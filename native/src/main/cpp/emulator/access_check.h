// access_check.h: finds races on shared memory, reads of what cp.async has not brought yet, accesses beyond the end of
// an allocation and misaligned ones, in kernels whose image was compiled with -fsanitize=thread,alignment
// (family.check.so). The compiler then calls a hook at each load and store; here the hooks do not belong to the
// sanitizers but to the emulator, which knows what a barrier is.
//
// For each byte of shared memory it is remembered who wrote it last, who read it last, and when: how many barriers the
// block, and how many warp operations the warp had passed. Two accesses of different threads, one of them a write,
// must have a barrier between them, or a warp operation if both threads are of one warp. Blocks that also order their
// threads by named barriers or mbarriers are not judged from the first of those on.
#pragma once
#include <cstddef>
#include <cstdint>

namespace emulator {

// A module's variables in shared memory are its thread-local ones.
struct SharedVariables {
  size_t module = 0;  // its number among those with thread-local storage; 0: has none
  size_t bytes = 0;
  bool checked = false;  // its code calls the hooks
  unsigned char* begin() const;  // of the calling operating system thread
};

namespace access_check {

void beginLaunch(const SharedVariables& variables);  // on each operating system thread
void beginBlock();
void passedBarrier();                // the block's threads
void passedWarp(uint32_t warp);      // the warp's lanes
void passedOther();                  // some threads, in a way that is not followed
void access(uint32_t thread, const void* address, size_t bytes, bool write);
void promise(const void* address, size_t bytes);  // by cp.async of the current thread
void keep(const void* address, size_t bytes);     // the current thread has waited for it

// Did a module's initialiser announce itself as checked since the last question?
bool announced();

}  // namespace access_check
}  // namespace emulator
