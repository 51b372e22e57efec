// trace.h: writes down what the threads of one warp do in kernels whose image was compiled with -fsanitize=thread
// (family.check.so): each load and store of global and shared memory, each barrier, each operation of the warp. Warps,
// since what a lane reads is told best beside what its neighbours read. javelin_emulator_set("trace", "BLOCK:THREAD:FILE")
// begins, "trace", "0" ends; both numbers count along x first. A line each, in the order of each thread's program:
//
//   launch GRID BLOCK SHARED VARIABLES KERNEL   each launch: sizes as x,y,z, bytes of dynamic shared memory and of variables
//   read   THREAD SITE SPACE ADDRESS BYTES      SPACE: global (ADDRESS is a pointer), shared or variable (an offset there)
//   write  THREAD SITE SPACE ADDRESS BYTES      what is there afterwards
//   copy   THREAD SITE SPACE ADDRESS FROM BYTES cp.async from global memory at FROM
//   barrier THREAD SITE NAME
//   warp   THREAD SITE GIVEN GOT NAME           what this lane brought and took away; "-" for nothing
//
// SITE is the address of the instruction within its image, ADDRESS is hexadecimal, BYTES are as they lie in memory.
// Local variables are not memory on a GPU, and atomic operations call no hook: neither is written down.
#pragma once
#include <cstddef>
#include <cstdint>

#include "runtime.h"

namespace emulator {
struct LaunchRequest;

namespace trace {

// Whether the block that this operating system thread runs is the one to trace.
extern __thread bool on __attribute__((tls_model("initial-exec"), visibility("hidden")));

bool to(const char* value);  // "BLOCK:THREAD:FILE" or "0"; false where it is neither, or the file cannot be written
void beginLaunch(const LaunchRequest& request);
void beginBlock(const LaunchRequest& request, uint64_t block, uint32_t firstThread);

// By the current thread, while `on`.
void access(const void* address, size_t bytes, bool write, const void* site);
void copy(const void* shared, const void* global, size_t bytes, const void* site);
void barrier(uint32_t number, const void* site);
void warp(const char* name, const void* given, size_t givenBytes, const void* got, size_t gotBytes, const void* site);
void settle();  // what the thread wrote last is in memory, and nobody else has run since

}  // namespace trace
}  // namespace emulator
