// snake.cu — y = x + sin²(a·x) / a
// dx = dy · (1 + sin(2·a·x)),   da[c] = Σ_r dy · (x · sin(2·a·x) / a − sin²(a·x) / a²)
#if defined(__CUDACC__)
#include <stdint.h>
#define KERNEL(name, parameters, threads) extern "C" __global__ void __launch_bounds__(threads) name parameters
#else
#include "device/device.h"  // the emulated device
#endif

KERNEL(snake_forward, (float* y, const float* x, const float* a, int64_t n, int cols), 256) {
  int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= n) return;
  float s = sinf(a[i % cols] * x[i]);
  y[i] = x[i] + s * s / a[i % cols];
}

KERNEL(snake_backward_x, (float* dx, int accumulate, const float* dy, const float* x, const float* a, int64_t n, int cols), 256) {
  int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= n) return;
  float d = dy[i] * (1 + sinf(2 * a[i % cols] * x[i]));
  dx[i] = accumulate ? dx[i] + d : d;
}

// A thread sums a column from the first row to the last: the same order, and so the same bits, in each run.
KERNEL(snake_backward_a, (float* da, int accumulate, const float* dy, const float* x, const float* a, int rows, int cols), 256) {
  int c = blockIdx.x * blockDim.x + threadIdx.x;
  if (c >= cols) return;
  float sum = accumulate ? da[c] : 0;
  for (int r = 0; r < rows; r++) {
    int64_t i = int64_t{r} * cols + c;
    float s = sinf(a[c] * x[i]) / a[c];
    sum += dy[i] * (x[i] * sinf(2 * a[c] * x[i]) / a[c] - s * s);
  }
  da[c] = sum;
}
