// launch_probe.cu — kernels for the tests of launches: each writes down what it was given.
#include "common.cuh"

// Arguments of every size, in an order that leaves gaps between them.
KERNEL(launch_probe_arguments, (double* y, int a, int64_t b, float c, double d, const float* none), 32) {
  if (threadIdx.x == 0 && blockIdx.x == 0) {
    y[0] = a;
    y[1] = static_cast<double>(b);
    y[2] = c;
    y[3] = d;
    y[4] = none == nullptr ? 1 : 0;
    y[5] = blockDim.x;
  }
}

struct Pair {
  int64_t first, second;
};

// A struct between two numbers.
KERNEL(launch_probe_struct, (double* y, int a, Pair p, float b), 32) {
  if (threadIdx.x == 0) {
    y[0] = a;
    y[1] = static_cast<double>(p.first);
    y[2] = static_cast<double>(p.second);
    y[3] = b;
  }
}

// Each block leaves its number.
KERNEL(launch_probe_grid, (int* y), 64) {
  if (threadIdx.x == 0) y[(blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x] = 1 + blockIdx.x + 100 * blockIdx.y + 10000 * blockIdx.z;
}

// Fills n words of shared memory and sums them up in order.
KERNEL(launch_probe_shared, (float* y, int n), 32) {
  DYNAMIC_SHARED(float, words);
  for (int i = threadIdx.x; i < n; i += blockDim.x) words[i] = i;
  __syncthreads();
  if (threadIdx.x == 0) {
    float sum = 0;
    for (int i = 0; i < n; i++) sum += words[i];
    *y = sum;
  }
}

// The same, from the other end, with 1024 bytes that the source declares.
KERNEL(launch_probe_both_shared, (float* y, int n), 32) {
  __shared__ float total[256];
  DYNAMIC_SHARED(float, words);
  for (int i = threadIdx.x; i < 256; i += blockDim.x) total[i] = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) words[i] = i;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int i = n - 1; i >= 0; i--) total[i % 256] += words[i];
    *y = total[n % 256];
  }
}

// y += x; what a replayed graph shows.
KERNEL(launch_probe_add, (float* y, const float* x, int n), 32) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] += x[i];
}

KERNEL(launch_probe_empty, (float*, const float*, int, float), 32) {}

#define INSTANCE(T, suffix) \
  KERNEL(launch_probe_bytes_##suffix, (int* y), 32) { if (threadIdx.x == 0) *y = sizeof(T); }
INSTANCE(float, f32)
INSTANCE(bf16, bf16)

KERNEL(launch_probe_pair_bf16_f32, (int* y), 32) {
  if (threadIdx.x == 0) *y = 6;
}
