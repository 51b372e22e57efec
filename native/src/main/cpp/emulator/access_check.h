// access_check.h: finds races on shared memory, reads of what copies have not brought yet, missing proxy fences, accesses
// beyond the end of an allocation and misaligned ones, in kernels whose image was compiled with
// -fsanitize=thread,alignment (family.check.so). The compiler then calls a hook at each load and store; here the hooks
// do not belong to the sanitizers but to the emulator, which knows what a barrier is.
//
// For each byte of shared memory it is remembered who wrote it last, who has read it since, and when (clocks.h). Two
// accesses of different actors, one of them a write, must be in order: by __syncthreads, a named barrier, an mbarrier, or
// an operation of the warp. TMA and wgmma read past the caches of a thread (in the asynchronous proxy): what a thread
// wrote must have gone through its fence_proxy_async before that. They write and read until the wait that covers them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "clocks.h"

namespace emulator {

// A module's variables in shared memory are its thread-local ones.
struct SharedVariables {
  size_t module = 0;  // its number among those with thread-local storage; 0: has none
  size_t bytes = 0;
  bool checked = false;  // its code calls the hooks
  unsigned char* begin() const;  // of the calling operating system thread
};

namespace access_check {

// What works beside the threads, and through which accesses of it are named in reports.
enum class Kind : uint8_t { thread, copy, tmaLoad, tmaStore, wgmma };

void beginLaunch(const SharedVariables& variables);  // on each operating system thread
void beginBlock(uint32_t threads, uint32_t blocks);  // of the cluster
bool isOn();

// A load or store of a thread, by the instruction before `site`.
void access(uint32_t thread, const void* address, size_t bytes, bool write, const void* site);

// By the current thread: a cp.async that writes from now on, and has written once the thread waited for it.
void promise(const void* address, size_t bytes, const void* site);
void keep(const void* address, size_t bytes);

// The current thread lets an actor read or write from now on; others may touch the bytes once they have seen `epoch`.
void issue(Kind kind, uint32_t actor, uint32_t epoch, const void* address, size_t bytes, const void* site);

// A thread's registers in the hands of wgmma: it must not touch them.
void lend(uint32_t thread, const void* registers, size_t bytes, const void* site);
void giveBack(uint32_t thread, const void* registers);

// " (file.cu:17)", the line of an address in the kernel's image; "" where nothing tells it.
std::string lineOf(const void* site);

// The same for many at once, which costs little more than one.
std::vector<std::string> linesOf(const std::vector<const void*>& sites);

// Did a module's initialiser announce itself as checked since the last question?
bool announced();

}  // namespace access_check
}  // namespace emulator
