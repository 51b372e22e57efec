// step_state.cuh: dev.javelin.tensor.step.StepState as kernels see it. The host writes the first half before a step, the
// device decides the second.
#pragma once
#include <stddef.h>

#include "common.cuh"

struct StepState {
  int64_t seed;
  float learning_rate;
  float inverse_targets;  // 1/N, N the valid targets of the whole step
  int step;
  int first_sequence;
  double loss;  // sum over the step's micro-batches
  float loss_scale;
  float grad_norm;    // of the unscaled gradient
  float clip_factor;
  float grad_scale;   // clip_factor / loss_scale; 0 where skipped
  int applied_steps;  // Adam's t
  int skipped_steps;
  int growth_tracker;  // finite steps since the scale changed
  int overflow;        // 1 where the last step is skipped
  int bad_steps;       // in a row, that no smaller loss scale can mend
  int last_bad_step;
  int spoiled;  // 1 where the optimizer's state is not finite
  int unused;
};
static_assert(sizeof(StepState) == 80 && offsetof(StepState, loss) == 24 && offsetof(StepState, overflow) == 60 && offsetof(StepState, spoiled) == 72, "the layout of StepState.java");

// Over the kThreads threads of a block, in a fixed order; every thread has the result.
template <int kThreads, class Join>
__device__ __forceinline__ double block_reduce_double(double v, Join join) {
  static_assert(kThreads % 32 == 0 && kThreads <= 1024);
  __shared__ double partial[kThreads / 32];
  for (int step = 16; step != 0; step /= 2) v = join(v, __shfl_xor_sync(0xffffffffu, v, step));
  if (lane_index() == 0) partial[warp_index()] = v;
  __syncthreads();
  double total = partial[0];
  for (int i = 1; i < kThreads / 32; i++) total = join(total, partial[i]);
  __syncthreads();  // partial may be written again
  return total;
}
template <int kThreads>
__device__ __forceinline__ double block_sum_double(double v) {
  return block_reduce_double<kThreads>(v, [](double a, double b) { return a + b; });
}
