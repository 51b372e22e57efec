// memory.h: device memory, which is host memory with a page behind it that nobody may touch.
#pragma once
#include <cstddef>
#include <cstdint>

namespace emulator::memory {

// Filled with NaN, or from 1 GiB on with zeros that cost nothing; 256-byte aligned, or 16 with the guard switch, so that its end lies at the forbidden page.
// Null if the device has not that much left.
void* allocate(size_t bytes);
void zero(void* address, size_t bytes);
bool release(void* address);  // false if it is not an allocation's first byte
void releaseAll();
size_t used();

// Does the range lie within one allocation? And which one is it?
bool contains(const void* address, size_t bytes);
bool find(const void* address, void** base, size_t* bytes);

// From now on a kernel that touches what it may not ends its launch with a report and not the process. Faults
// outside of kernels go to whoever handled them before.
void watchFaults();

}  // namespace emulator::memory
