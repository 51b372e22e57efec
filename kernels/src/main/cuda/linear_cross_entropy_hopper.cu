// linear_cross_entropy_hopper.cu — losses of logits x·wᵀ and their gradient, half types, 9.0, without logits in memory
//   statistics: (largest, Σ e^(x - largest)) of each row and tile of 256 columns, the target's logit
//   gradient:   the same product again, dlogits from the row's statistics, rounded to the type of x and w
//   weights:    e^(x - reference) and their sums, in one go: dlogits = row's number · weights, but for the target's
// Tiling: as matmul_hopper_256.cu; statistics have no results to store, so their ring has 4 steps.
// Traffic (s bytes an element): operands as there; statistics 8·R·V/256 bytes, gradient and weights s·R·V written.
// FLOPs: 2·R·V·C; 5 to 7 instructions and one exponential a logit besides.
// Measured: not yet.
#include "linear_cross_entropy_hopper.cuh"

LCE_STATISTICS_KERNEL(256, bf16, bf16)
LCE_STATISTICS_KERNEL(256, f16, f16)
LCE_GRADIENT_KERNEL(256, bf16, bf16)
LCE_GRADIENT_KERNEL(256, f16, f16)
LCE_WEIGHTS_KERNEL(256, bf16, bf16)
