// matmul_simt.cu — c (+)= op(a)·op(b) + bias in fp32, without tensor cores (which would round to tf32)
// Tiling: 128x128 by 256 threads, 8x8 each, or 64x64 by 128 threads, 8x4 each; 8 deep, two buffers: the next tile is
//   on its way into registers while this one is multiplied. Operands lie along k in shared memory whatever their
//   layout; a thread's rows and columns come in groups of 4, one 16-byte read each:
//
//     columns of a warp  0-3 4-7 … 28-31        8 threads side by side, 4 one below the other: 32 + 16 floats
//     rows    0-3        t0  t1     t7          read for 4 rows and 4 columns of each thread, without conflicts
//             4-7        t8  …
//   Long k and few tiles: as in matmul.cu.
// Traffic: m·n·k·(1/128 + 1/128)·4 bytes from the L2 cache, c once.  FLOPs: 2·m·n·k by FMA, compute bound.
// Measured: not yet.
#include "matmul.cuh"

constexpr int kDeep = 8;

template <int kEdge_, int kThreadRows_, int kThreadCols_>
struct SimtShape {
  static constexpr int kEdge = kEdge_, kThreadRows = kThreadRows_, kThreadCols = kThreadCols_;
  static constexpr int kThreads = kEdge / kThreadRows * (kEdge / kThreadCols);
  static constexpr int kStride = kEdge + 4;  // 4 aside from row to row: the transposing stores of a warp meet no bank twice
  static_assert(kEdge * kDeep == 4 * kThreads, "a thread brings 4 elements of each tile");
  static_assert(kEdge / kThreadCols == 16, "two warps side by side");
};

// Brings the tiles of one operand as Source does, 4 elements a thread: from memory to registers, then to shared
// memory, where the tile is [8, kEdge] in either case.
template <bool kAlongK, int kEdge, int kStride>
struct SimtSource {
  const float* from;
  int64_t step;
  int row, col, row_end, col_end;
  int to;
  Vec<float, 4> v;

  __device__ __forceinline__ SimtSource(const float* matrix, int64_t stride, int outer, int outer_end, int k_begin, int k_end) {
    constexpr int kChunks = kAlongK ? kDeep / 4 : kEdge / 4;
    int r = static_cast<int>(threadIdx.x) / kChunks, c = static_cast<int>(threadIdx.x) % kChunks * 4;
    row = (kAlongK ? outer : k_begin) + r;
    col = (kAlongK ? k_begin : outer) + c;
    row_end = kAlongK ? outer_end : k_end;
    col_end = kAlongK ? k_end : outer_end;
    from = matrix + row * stride + col;
    step = kAlongK ? kDeep : kDeep * stride;
    to = kAlongK ? c * kStride + r : r * kStride + c;
  }
  __device__ __forceinline__ void load() {
    v = load_up_to_4(from, row < row_end ? col_end - col < 4 ? col_end - col : 4 : 0);
    from += step;
    (kAlongK ? col : row) += kDeep;
  }
  __device__ __forceinline__ void store(float* tile) const {
    if constexpr (kAlongK) {
#pragma unroll
      for (int i = 0; i < 4; i++) tile[to + i * kStride] = v[i];
    } else {
      store_vec(tile + to, v);
    }
  }
};

template <class S, bool kTransA, bool kTransB>
__device__ __forceinline__ void matmul_simt(const Product<float, float>& p) {
  constexpr int kEdge = S::kEdge, kRows = S::kThreadRows, kCols = S::kThreadCols;
  alignas(16) __shared__ float tiles[2][2][kDeep * S::kStride];
  Corner corner = tile_corner<kEdge, kEdge>(p.m, p.n);
  int k_begin = static_cast<int>(blockIdx.y) * p.k_part, k_end = min(p.k, k_begin + p.k_part);
  SimtSource<!kTransA, kEdge, S::kStride> a(p.a + blockIdx.z * p.a_batch, p.a_stride, corner.row, p.m, k_begin, k_end);
  SimtSource<kTransB, kEdge, S::kStride> b(p.b + blockIdx.z * p.b_batch, p.b_stride, corner.col, p.n, k_begin, k_end);

  // This thread's groups of 4 rows and of 4 columns lie kEdge·4/kRows and kEdge·4/kCols apart.
  int y = (warp_index() / 2 * 4 + lane_index() / 8) * 4, x = (warp_index() % 2 * 8 + lane_index() % 8) * 4;
  constexpr int kRowHop = kEdge * 4 / kRows, kColHop = kEdge * 4 / kCols;

  float sums[kRows][kCols] = {};
  int steps = (k_end - k_begin + kDeep - 1) / kDeep;
  a.load();
  b.load();
  a.store(tiles[0][0]);
  b.store(tiles[0][1]);
  __syncthreads();
#pragma unroll 1
  for (int step = 0; step < steps; step++) {
    bool more = step + 1 < steps;
    if (more) {
      a.load();
      b.load();
    }
    const float(&tile)[2][kDeep * S::kStride] = tiles[step % 2];
#pragma unroll
    for (int k = 0; k < kDeep; k++) {
      Vec<float, 4> in_a[kRows / 4], in_b[kCols / 4];
#pragma unroll
      for (int i = 0; i < kRows / 4; i++) in_a[i] = load_vec<4>(&tile[0][k * S::kStride + y + i * kRowHop]);
#pragma unroll
      for (int j = 0; j < kCols / 4; j++) in_b[j] = load_vec<4>(&tile[1][k * S::kStride + x + j * kColHop]);
#pragma unroll
      for (int i = 0; i < kRows; i++) {
#pragma unroll
        for (int j = 0; j < kCols; j++) sums[i][j] = fmaf(in_a[i / 4][i % 4], in_b[j / 4][j % 4], sums[i][j]);
      }
    }
    if (more) {
      a.store(tiles[(step + 1) % 2][0]);  // its readers, of the step before, are all past the last barrier
      b.store(tiles[(step + 1) % 2][1]);
    }
    __syncthreads();
  }

  float* c = p.c + blockIdx.z * p.c_batch + blockIdx.y * p.c_part;
#pragma unroll
  for (int i = 0; i < kRows; i += 4) {
#pragma unroll
    for (int j = 0; j < kCols; j += 4) {
      int row = corner.row + y + i / 4 * kRowHop, col = corner.col + x + j / 4 * kColHop;
      if (row < p.m && col < p.n) {
        Sums<4> four{{}, col, min(4, p.n - col), 1, p.m - row};
#pragma unroll
        for (int r = 0; r < 4; r++) four.v[r] = {{sums[i + r][j], sums[i + r][j + 1], sums[i + r][j + 2], sums[i + r][j + 3]}};
        if (p.bias != nullptr) four.add_bias(p.bias);
        finish<false>(p, c, row, four);
      }
    }
  }
}

using Big = SimtShape<128, 8, 8>;
using Small = SimtShape<64, 8, 4>;
#define SIMT_KERNEL(name, Shape, kTransA, kTransB) \
  KERNEL(name, MATMUL_PARAMETERS(float, float), Shape::kThreads, 2) { matmul_simt<Shape, kTransA, kTransB>(MATMUL_PRODUCT(float, float)); }
#define INSTANCES(prefix, Shape)                        \
  SIMT_KERNEL(prefix##_nt_f32_f32, Shape, false, true)  \
  SIMT_KERNEL(prefix##_nn_f32_f32, Shape, false, false) \
  SIMT_KERNEL(prefix##_tn_f32_f32, Shape, true, false)  \
  SIMT_KERNEL(prefix##_tt_f32_f32, Shape, true, true)
INSTANCES(matmul_simt, Big)
INSTANCES(matmul_simt_small, Small)
