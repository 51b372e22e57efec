// matmul.cu — c (+)= f(op(a)·op(b) + bias), half types, fp32 sums, tiles of 128x128        ladder: docs/kernels/matmul.md
//   nt: y = x·wᵀ (forward)   nn: dx = dy·w   tn: dw = dyᵀ·x   tt: the rest; each straight from the stored layout
// Tiling: 4 warps of 64x64, mma.sync m16n8k16 fed by ldmatrix from swizzled tiles 32 deep, half of a tile read while the
//   other is multiplied, 3 stages of cp.async (48 KB: two blocks on a multiprocessor); a step of a warp is 64 mma, 16
//   ldmatrix, 8 cp.async in 169 (nt) to 201 (tn) instructions. Parts of k: see MatmulPlan; small products: matmul_small.cu.
//   Fast where rows begin at 16-byte boundaries (stride % 8 == 0); any other stride is read element by element.
//   Long k and few tiles: k in parts, fp32 partial sums, added in the order of the parts by matmul_sum.
// Traffic: a and b once from memory if the L2 cache holds a group of tiles, m·n·k·(1/128 + 1/128)·2 bytes from there;
//   c once.  FLOPs: 2·m·n·k, compute bound from about 300 in every size (H200: 989 TFLOP/s / 4.8 TB/s = 206 per byte).
// Measured: not yet.
#include "matmul.cuh"

using Block = BlockShape<128, 128, 64, 64, 3, 2>;
MATMUL_INSTANCES(matmul, Block, bf16, bf16)
MATMUL_INSTANCES(matmul, Block, f16, f16)
