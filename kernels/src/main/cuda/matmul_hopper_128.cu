// matmul_hopper_128.cu — c (+)= f(op(a)·op(b) + bias), half types, fp32 sums, 9.0: tiles of 128x128
//   for results that give too few wider tiles
// Tiling: two warpgroups of 64x128, wgmma m64n128k16 from a ring of 5 steps of 64 (160 KB); 64 KB for results on their way.
// Traffic: m·n·k·(1/128 + 1/128)·2 bytes from the L2 cache, c once.  FLOPs: 2·m·n·k.
// Measured: not yet.
#include "matmul_hopper.cuh"

MATMUL_HOPPER_INSTANCES(MATMUL_HOPPER_KERNEL, 128, bf16, bf16)
MATMUL_HOPPER_INSTANCES(MATMUL_HOPPER_KERNEL, 128, f16, f16)
