// matmul_hopper_192_pair.cu — c (+)= f(op(a)·op(b) + bias), half types, fp32 sums, 9.0: tiles of 128x192, in clusters of two
//   for results that 192 divides better than 256: two blocks, one above the other, share b
// Tiling: two warpgroups of 64x192, wgmma m64n192k16 from a ring of 4 steps of 64 (160 KB); 64 KB for results on their way.
// Traffic: m·n·k·(1/256 + 1/192)·2 bytes from the L2 cache, c once.  FLOPs: 2·m·n·k.
// Measured: not yet.
#include "matmul_hopper.cuh"

MATMUL_HOPPER_INSTANCES(MATMUL_HOPPER_PAIR, 192, bf16, bf16)
MATMUL_HOPPER_INSTANCES(MATMUL_HOPPER_PAIR, 192, f16, f16)
