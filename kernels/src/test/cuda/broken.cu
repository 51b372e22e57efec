// broken.cu — kernels with one mistake each; BrokenKernelTest shows how the emulated device reports it. Never run on a GPU.
#include "common.cuh"

// y reversed within blocks of 64, through shared memory. The barrier between writing and reading is missing.
KERNEL(broken_barrier, (float* y, const float* x), 64) {
  __shared__ float tile[64];
  int i = threadIdx.x;
  tile[i] = x[blockIdx.x * 64 + i];
  y[blockIdx.x * 64 + i] = tile[63 - i];
}

// y = x, n elements. The guard lets one element too many pass.
KERNEL(broken_bound, (float* y, const float* x, int n), 128) {
  int i = blockIdx.x * 128 + threadIdx.x;
  if (i <= n) y[i] = x[i];
}

// The sum over the warp, of lanes below `n` only: the others never get to the shuffle.
KERNEL(broken_shuffle, (float* y, const float* x, int n), 32) {
  int lane = lane_index();
  if (lane < n) {
    float v = x[lane];
    for (int step = 16; step != 0; step /= 2) v += __shfl_xor_sync(0xffffffffu, v, step);
    y[lane] = v;
  }
}

// y = x through shared memory. The copy is committed, but nobody waits for it.
KERNEL(broken_wait, (float* y, const float* x), 64) {
  __shared__ __align__(16) float tile[64];
  int i = threadIdx.x;
  cp_async<4>(tile + i, x + blockIdx.x * 64 + i);
  cp_async_commit();
  __syncthreads();
  y[blockIdx.x * 64 + i] = tile[i];
}

// A barrier that only half of the block reaches.
KERNEL(broken_divergence, (float* y), 64) {
  if (threadIdx.x < 40) {
    __syncthreads();
  } else {
    named_barrier_sync(1, 64);
  }
  y[threadIdx.x] = 1;
}

KERNEL(broken_null, (float* y), 32) { y[threadIdx.x] = 1; }

// More threads than the block has shared memory for.
KERNEL(broken_shared, (float* y, int first), 64) {
  DYNAMIC_SHARED(float, tile);
  tile[first + threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = tile[first + threadIdx.x];
}

// y = x, 16 bytes at a time, from element `first` on: whatever that is.
KERNEL(broken_alignment, (float* y, const float* x, int first), 32) { store_vec(y + 4 * threadIdx.x, load_vec<4>(x + first + 4 * threadIdx.x)); }
