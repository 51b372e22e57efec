// matmul_small.cu — the product of matmul.cu in tiles of 64x64, for results that give too few tiles of 128x128
// Tiling: 4 warps of 32x32, otherwise as there; 24 KB of shared memory, so that four blocks share a multiprocessor and
//   hide each other's waiting. Half the arithmetic per byte read from the L2 cache, and from shared memory: its bound.
// Traffic: m·n·k·(1/64 + 1/64)·2 bytes from the L2 cache, c once.  FLOPs: 2·m·n·k.
// Measured: not yet.
#include "matmul.cuh"

using Block = BlockShape<64, 64, 32, 32, 3, 4>;
MATMUL_INSTANCES(matmul_small, Block, bf16, bf16)
MATMUL_INSTANCES(matmul_small, Block, f16, f16)
