// check_turns.cu — the wrappers of hopper_turns.cuh; TurnsTest holds them against a plain loop. Capability 9.0.
#include "hopper_turns.cuh"

// sum = ((parts[0] + parts[1]) + parts[2]) + …, in fp32, a part of 64 numbers added by each block. turns: a ticket and a
// counter, 0 at first.
KERNEL(check_turns_add, (float* sum, int* turns, const float* parts), 64, 1) {
  DYNAMIC_SHARED(float, part);
  __shared__ int ticket;
  if (threadIdx.x == 0) ticket = atomicAdd(turns, 1);
  __syncthreads();
  part[threadIdx.x] = parts[64 * ticket + threadIdx.x];
  fence_proxy_async();
  __syncthreads();
  if (threadIdx.x == 0) {
    turn_wait(turns + 1, ticket);
    if (ticket == 0) {
      bulk_store(sum, part, 256);
    } else {
      bulk_add(sum, part, 256);
    }
    tma_store_commit();
    tma_store_wait<0>();
    turn_pass(turns + 1, ticket + 1);
  }
}
