// matmul_hopper_256.cu — c (+)= f(op(a)·op(b) + bias), half types, fp32 sums, 9.0: tiles of 128x256
//   the widest tile: 64x256 sums are half of the registers that a thread can have
// Tiling: two warpgroups of 64x256, wgmma m64n256k16 from a ring of 3 steps of 64 (144 KB); 64 KB for results on their way.
// Traffic: m·n·k·(1/128 + 1/256)·2 bytes from the L2 cache, c once.  FLOPs: 2·m·n·k.
// Measured: not yet.
#include "matmul_hopper.cuh"

MATMUL_HOPPER_INSTANCES(MATMUL_HOPPER_KERNEL, 256, bf16, bf16)
MATMUL_HOPPER_INSTANCES(MATMUL_HOPPER_KERNEL, 256, f16, f16)
