// mean_loss.cu — loss = weight·Σ losses, added to the step's loss in StepState;  dlosses (+)= weight·dy;
//   weight = 1/(number of targets that are not ignored). The weight lies in device memory: it changes from step to step.
// Tiling: sums by one block of 256 threads, in double, in an order that depends on n alone. n is the number of a
//   batch's tokens: one block reads them in microseconds.
// Traffic: 4·n bytes.  FLOPs: n.
// Measured: not yet.
#include "step_state.cuh"

constexpr int kThreads = 256;

KERNEL(mean_loss_weight, (float* weight, const int* targets, int64_t n, int ignore_index), kThreads) {
  double valid = 0;
  for (int64_t i = threadIdx.x; i < n; i += kThreads) valid += targets[i] == ignore_index ? 0 : 1;
  valid = block_sum_double<kThreads>(valid);
  if (threadIdx.x == 0) *weight = valid == 0 ? 0.0f : static_cast<float>(1.0 / valid);
}

// state: null where the loss is not one of a step.
KERNEL(mean_loss_forward, (float* loss, StepState* state, const float* losses, const float* weight, int64_t n), kThreads) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += kThreads) sum += losses[i];
  sum = block_sum_double<kThreads>(sum) * *weight;
  if (threadIdx.x != 0) return;
  *loss = static_cast<float>(sum);
  if (state != nullptr) state->loss += sum;
}

KERNEL(mean_loss_backward, (float* dlosses, int accumulate, const float* dy, const float* weight, int64_t n), kThreads) {
  int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < n) dlosses[i] = (accumulate ? dlosses[i] : 0.0f) + *dy * *weight;
}
