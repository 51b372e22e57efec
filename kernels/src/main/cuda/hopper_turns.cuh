// hopper_turns.cuh: sums in memory to which many blocks add, always in the same order: bulk copies that add, and turns at
// them. A counter in memory, 0 at first, stands for each place; who waits for turn n adds after those of turns 0 … n - 1.
// Blocks may end up waiting for each other for good unless all earlier turns of a place belong to blocks that run already:
// let blocks draw tickets when they start, and give the earlier turns to the earlier tickets.
#pragma once
#include "hopper.cuh"

#if defined(__CUDACC__)
// Out of shared memory, in the groups of tma_store_commit. Before: fence_proxy_async by the writers, then a barrier, then
// one thread. Addresses and size: 16 bytes.
__device__ __forceinline__ void bulk_store(void* global, const void* shared, int bytes) {
  HOPPER("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(global), "r"(shared_address(shared)), "r"(bytes) : "memory");
}
// The same, added to what is there, in fp32.
__device__ __forceinline__ void bulk_add(float* global, const void* shared, int bytes) {
  HOPPER("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [%0], [%1], %2;" ::"l"(global), "r"(shared_address(shared)), "r"(bytes) : "memory");
}

// One thread, the one that issues the copies. What copies of earlier turns wrote, its own copies will find.
__device__ __forceinline__ void turn_wait(const int* counter, int turn) {
  for (;;) {
    int now = 0;
    HOPPER("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(now) : "l"(counter) : "memory");
    if (now >= turn) break;
    __nanosleep(20);
  }
  HOPPER("fence.proxy.async.global;" ::: "memory");
}
// The next turn's number. Before: tma_store_wait, not only for the reads.
__device__ __forceinline__ void turn_pass(int* counter, int next) {
  HOPPER("fence.proxy.async.global;" ::: "memory");
  HOPPER("st.release.gpu.global.s32 [%0], %1;" ::"l"(counter), "r"(next) : "memory");
}
#else
#include "device/turns.h"
#endif
