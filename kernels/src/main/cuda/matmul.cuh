// matmul.cuh: c (+)= f(op(a)·op(b) + bias) as the kernels of matrix products share it: what a product is, where its
// results go, which tile a block computes; and the whole kernel for half types on tensor cores.
#pragma once
#include "activation.cuh"
#include "common.cuh"

// Matrices are stored row by row, rows `stride` elements apart. op(a) is [m, k], stored so or as [k, m]; op(b) is
// [k, n], stored so or as [n, k]; c is [m, n]. blockIdx: x a tile of c, y a part of k, z a matrix of the batch.
template <class T, class Out>
struct Product {
  Out* c;
  const T* a;
  const T* b;
  int m, n, k;
  int64_t c_stride, a_stride, b_stride;
  int64_t c_batch, a_batch, b_batch;  // elements between the matrices of a batch; 0 where all use the same
  int k_part;                         // so much of k is one block's, a multiple of every tile's depth
  int64_t c_part;                     // elements between the results of successive parts
  bool accumulate;                    // c += instead of c =
  const T* bias;                      // [n] or null
  Out* z;                             // receives what f is applied to; null where nobody wants it
  int64_t z_stride;
  int activation;                     // -1: none
};

#define MATMUL_PARAMETERS(T, Out)                                                                                        \
  (Out * c, const T* a, const T* b, int m, int n, int k, int64_t c_stride, int64_t a_stride, int64_t b_stride,           \
   int64_t c_batch, int64_t a_batch, int64_t b_batch, int k_part, int64_t c_part, int accumulate, const T* bias, Out* z, \
   int64_t z_stride, int activation)
#define MATMUL_PRODUCT(T, Out)                                                                                     \
  Product<T, Out> { c, a, b, m, n, k, c_stride, a_stride, b_stride, c_batch, a_batch, b_batch, k_part, c_part, accumulate != 0, bias, z, z_stride, activation }

// Results -----------------------------------------------------------------------------------------
// `count` ≤ 4 neighbours: one access where they are whole and aligned.
template <class T>
__device__ __forceinline__ Vec<float, 4> load_up_to_4(const T* p, int count) {
  Vec<float, 4> v;
  if (count == 4 && is_aligned(p, 4 * sizeof(T))) {
    auto packed = load_vec<4>(p);
#pragma unroll
    for (int i = 0; i < 4; i++) v[i] = to_float(packed[i]);
  } else {
#pragma unroll
    for (int i = 0; i < 4; i++) v[i] = i < count ? to_float(p[i]) : 0.0f;
  }
  return v;
}
template <class T>
__device__ __forceinline__ void store_up_to_4(T* p, const Vec<float, 4>& v, int count) {
  if (count == 4 && is_aligned(p, 4 * sizeof(T))) {
    Vec<T, 4> packed;
#pragma unroll
    for (int i = 0; i < 4; i++) packed[i] = from_float<T>(v[i]);
    store_vec(p, packed);
  } else {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      if (i < count) p[i] = from_float<T>(v[i]);
    }
  }
}

// The end of a product for the sums of c[row, col … col+3], of which at least the first exists. kEpilogue: whether
// there may be a bias or an activation. f sees the fp32 sum, not z rounded.
template <bool kEpilogue, class T, class Out>
__device__ __forceinline__ void store_sums(const Product<T, Out>& p, Out* c, int row, int col, Vec<float, 4> v) {
  int count = min(4, p.n - col);
  if constexpr (kEpilogue) {
    if (p.bias != nullptr) {
      auto bias = load_up_to_4(p.bias + col, count);
#pragma unroll
      for (int i = 0; i < 4; i++) v[i] += bias[i];
    }
    if (p.z != nullptr) store_up_to_4(p.z + row * p.z_stride + col, v, count);
    if (p.activation >= 0) {
#pragma unroll
      for (int i = 0; i < 4; i++) v[i] = activation_value(Activation(p.activation), v[i]);
    }
  }
  Out* at = c + row * p.c_stride + col;  // strides are 64-bit: row·stride may pass 2^31
  if (p.accumulate) {
    auto before = load_up_to_4(at, count);
#pragma unroll
    for (int i = 0; i < 4; i++) v[i] += before[i];
  }
  store_up_to_4(at, v, count);
}

// Tiles of c --------------------------------------------------------------------------------------
struct Corner {
  int row, col;
};

// Tiles in the order of their blocks: down groups of 8 tile rows, group column by group column. Blocks that run at the
// same time then share few rows of a and few columns of b, which stay in the L2 cache:
//
//      0  8 16 …        against row by row, where the blocks 0 … 63 of a wide c
//      1  9 17 …        would read 1 tile row of a and 64 tile columns of b,
//      …                here they read 8 and 8
//      7 15 23 …
template <int kBM, int kBN>
__device__ __forceinline__ Corner tile_corner(int m, int n) {
  constexpr int kGroup = 8;
  int rows = (m + kBM - 1) / kBM, columns = (n + kBN - 1) / kBN;
  int tile = static_cast<int>(blockIdx.x), group = tile / (kGroup * columns), in_group = tile % (kGroup * columns);
  int height = min(rows - group * kGroup, kGroup);
  return {(group * kGroup + in_group % height) * kBM, in_group / height * kBN};
}

// Operands in shared memory -----------------------------------------------------------------------
// A tile of an operand, as the operand is stored: kRows rows of kCols 16-bit elements, in chunks of 16 bytes. Where
// chunk c of row r lies is swizzled, c ^ s(r), so that both accesses of a tile spread over all 32 banks (128 bytes):
//   - cp.async writes neighbouring chunks of a row (8 lanes, 128 bytes);
//   - ldmatrix reads the same chunk c of 8 successive rows, which unswizzled lie a row's length apart, in rows of
//     128 or 256 bytes all in the same 4 banks: 8 turns instead of 1.
//
//   rows of 64 bytes, s = r/2 % 4            rows of 128 and 256 bytes, s = r % 8  (the upper bit of c stays)
//     bytes 0      64      128                  bytes 0              128
//     r=0,1  0 1 2 3|0 1 2 3                    r=0    0 1 2 3 4 5 6 7
//     r=2,3  1 0 3 2|1 0 3 2                    r=1    1 0 3 2 5 4 7 6
//     r=4,5  2 3 0 1|2 3 0 1                    r=2    2 3 0 1 6 7 4 5
//     r=6,7  3 2 1 0|3 2 1 0                    …      the digit is the chunk that lies there: each of them
//                                                      stands in 8 different places over 8 rows
template <int kRows_, int kCols_>
struct Tile {
  static constexpr int kRows = kRows_, kCols = kCols_;
  static constexpr int kChunks = kCols / 8;  // in a row
  static_assert(kChunks >= 4 && (kChunks & (kChunks - 1)) == 0);
  static constexpr int kElements = kRows * kCols;

  __device__ __forceinline__ static int swizzle(int row) { return kChunks == 4 ? row / 2 % 4 : row % 8; }
  // In elements, of the beginning of a chunk.
  __device__ __forceinline__ static int at(int row, int chunk) { return row * kCols + (chunk ^ swizzle(row)) * 8; }
};

constexpr int kDepth = 32;  // of the tiles along k

// Brings the tiles of one operand, one after another along k, from global into shared memory. kAlongK: rows are stored
// along k (a as [m, k], b as [n, k]), and the tile is [kOuter, 32]; else it is [32, kOuter]. What lies beyond the
// matrix is zeros, which add nothing to a sum.
template <class T, bool kAlongK, int kOuter, int kThreads>
struct Source {
  using Shape = Tile<kAlongK ? kOuter : kDepth, kAlongK ? kDepth : kOuter>;
  static constexpr int kRowStep = kThreads / Shape::kChunks;  // a thread has the same chunk of rows so far apart
  static_assert(kThreads % Shape::kChunks == 0 && kRowStep % 8 == 0 && Shape::kRows % kRowStep == 0);

  const T* from;         // this thread's first chunk of the next tile
  int64_t hop, step;     // elements to its next chunk, to the next tile
  int row, col;          // of the first chunk in the stored matrix
  int row_end, col_end;  // where that ends
  int to;                // of the first chunk in the shared tile, in elements
  bool whole;            // rows begin at 16-byte boundaries: copied asynchronously, in chunks

  // The tiles from `outer` on, for k from k_begin to k_end.
  __device__ __forceinline__ Source(const T* matrix, int64_t stride, int outer, int outer_end, int k_begin, int k_end) {
    int r = static_cast<int>(threadIdx.x) / Shape::kChunks, chunk = static_cast<int>(threadIdx.x) % Shape::kChunks;
    row = (kAlongK ? outer : k_begin) + r;
    col = (kAlongK ? k_begin : outer) + 8 * chunk;
    row_end = kAlongK ? outer_end : k_end;
    col_end = kAlongK ? k_end : outer_end;
    from = matrix + row * stride + col;
    hop = kRowStep * stride;
    step = kAlongK ? kDepth : kDepth * stride;
    to = Shape::at(r, chunk);
    whole = is_aligned(matrix, 16) && stride % 8 == 0;
  }

  // Begins to fill a tile with the next one of the matrix.
  __device__ __forceinline__ void load(T* tile) {
    constexpr int kHops = Shape::kRows / kRowStep;
    int elements = min(max(col_end - col, 0), 8);
    if (whole && elements == 8 && row + (kHops - 1) * kRowStep < row_end) {  // all there: copies without guards
#pragma unroll
      for (int i = 0; i < kHops; i++) cp_async<16>(tile + to + i * kRowStep * Shape::kCols, from + i * hop);
    } else if (whole) {
#pragma unroll
      for (int i = 0; i < kHops; i++) {
        int filled = row + i * kRowStep < row_end ? elements * static_cast<int>(sizeof(T)) : 0;
        cp_async<16>(tile + to + i * kRowStep * Shape::kCols, from + i * hop, filled);
      }
    } else {
#pragma unroll 1
      for (int i = 0; i < kHops; i++) {
        int filled = row + i * kRowStep < row_end ? elements : 0;
        Vec<T, 8> v;
#pragma unroll
        for (int e = 0; e < 8; e++) v[e] = e < filled ? from[i * hop + e] : from_float<T>(0.0f);
        store_vec(tile + to + i * kRowStep * Shape::kCols, v);
      }
    }
    from += step;
    (kAlongK ? col : row) += kDepth;
  }
};

// A 16x16 patch of an operand from its tile, as mma.sync wants it: four 8x8 matrices of (outer, k), each lane with
// two neighbours in k. Stored along k they come as they lie, else ldmatrix transposes them. Lanes 8q … 8q+7 point at
// the rows of matrix q, which is the upper or lower half of the patch in outer and in k by `outer_half`, `k_half`:
//
//            k  0 … 7   8 … 15                k  0 … 7   8 … 15
//   a  rows 0 … 7   q=0     q=2      b  columns 0 … 7   q=0     q=1      b: registers 0, 1 are one column block's
//      rows 8 … 15  q=1     q=3         columns 8 … 15  q=2     q=3         two, 2 and 3 the next one's
template <class Shape, bool kAlongK, class T>
__device__ __forceinline__ void load_patch(uint32_t (&r)[4], const T* tile, int outer, int k, int outer_half, int k_half) {
  int in_matrix = lane_index() % 8;
  if constexpr (kAlongK) {
    ldmatrix_x4(r, tile + Shape::at(outer + 8 * outer_half + in_matrix, k / 8 + k_half));
  } else {
    ldmatrix_x4_trans(r, tile + Shape::at(k + 8 * k_half + in_matrix, outer / 8 + outer_half));
  }
}

// The product on tensor cores ---------------------------------------------------------------------
// A block computes a tile of c, a warp a part of it; kStages tiles of a and b are under way.
template <int kBM_, int kBN_, int kWarpM_, int kWarpN_, int kStages_>
struct BlockShape {
  static constexpr int kBM = kBM_, kBN = kBN_, kWarpM = kWarpM_, kWarpN = kWarpN_, kStages = kStages_;
  static constexpr int kWarpsN = kBN / kWarpN, kThreads = 32 * (kBM / kWarpM) * kWarpsN;
  static constexpr int kTileBytes = kStages * (kBM + kBN) * kDepth * 2;
  static constexpr int kSumStride = kBN + 8;  // floats; two lanes in 8 rows apart write to different banks
  static constexpr int kSumBytes = kWarpM * kSumStride * 4;
  static constexpr int kSharedBytes = kTileBytes > kSumBytes ? kTileBytes : kSumBytes;
};

template <class B, bool kTransA, bool kTransB, bool kEpilogue, class T, class Out>
__device__ __forceinline__ void matmul(const Product<T, Out>& p) {
  using A_ = Source<T, !kTransA, B::kBM, B::kThreads>;
  using B_ = Source<T, kTransB, B::kBN, B::kThreads>;
  constexpr int kStageElements = A_::Shape::kElements + B_::Shape::kElements;
  constexpr int kMs = B::kWarpM / 16, kNs = B::kWarpN / 8;
  alignas(128) __shared__ unsigned char shared[B::kSharedBytes];
  T* tiles = reinterpret_cast<T*>(shared);

  Corner corner = tile_corner<B::kBM, B::kBN>(p.m, p.n);
  int k_begin = static_cast<int>(blockIdx.y) * p.k_part, k_end = min(p.k, k_begin + p.k_part);
  A_ a(p.a + blockIdx.z * p.a_batch, p.a_stride, corner.row, p.m, k_begin, k_end);
  B_ b(p.b + blockIdx.z * p.b_batch, p.b_stride, corner.col, p.n, k_begin, k_end);
  int steps = (k_end - k_begin + kDepth - 1) / kDepth;

  // A group of copies for every step, empty ones at the end, so that the latest kStages-2 are always those of the
  // steps after the next one.
#pragma unroll
  for (int s = 0; s < B::kStages - 1; s++) {
    if (s < steps) {
      a.load(tiles + s * kStageElements);
      b.load(tiles + s * kStageElements + A_::Shape::kElements);
    }
    cp_async_commit();
  }

  int lane = lane_index(), warp_row = warp_index() / B::kWarpsN, warp_col = warp_index() % B::kWarpsN;
  float sums[kMs][kNs][4] = {};
  int stage = 0, free_stage = B::kStages - 1;
#pragma unroll 1
  for (int step = 0; step < steps; step++) {
    cp_async_wait<B::kStages - 2>();
    __syncthreads();  // this step's tiles are there for all; the tiles of the last step have been read by all
    if (step + B::kStages - 1 < steps) {
      a.load(tiles + free_stage * kStageElements);
      b.load(tiles + free_stage * kStageElements + A_::Shape::kElements);
    }
    cp_async_commit();
    const T* tile_a = tiles + stage * kStageElements;
    const T* tile_b = tile_a + A_::Shape::kElements;
#pragma unroll
    for (int k = 0; k < kDepth; k += 16) {
      uint32_t in_a[kMs][4], in_b[kNs][2];
#pragma unroll
      for (int i = 0; i < kMs; i++) {
        load_patch<typename A_::Shape, !kTransA>(in_a[i], tile_a, warp_row * B::kWarpM + 16 * i, k, lane / 8 % 2, lane / 16);
      }
#pragma unroll
      for (int j = 0; j < kNs; j += 2) {
        uint32_t two[4];
        load_patch<typename B_::Shape, kTransB>(two, tile_b, warp_col * B::kWarpN + 8 * j, k, lane / 16, lane / 8 % 2);
        in_b[j][0] = two[0], in_b[j][1] = two[1], in_b[j + 1][0] = two[2], in_b[j + 1][1] = two[3];
      }
#pragma unroll
      for (int i = 0; i < kMs; i++) {
#pragma unroll
        for (int j = 0; j < kNs; j++) mma_m16n8k16<T>(sums[i][j], in_a[i], in_b[j]);
      }
    }
    stage = stage + 1 == B::kStages ? 0 : stage + 1;
    free_stage = free_stage + 1 == B::kStages ? 0 : free_stage + 1;
  }

  // The sums go through the shared memory of the tiles, a row of warps after the other: a lane holds pairs scattered
  // over the tile, memory wants whole rows.
  Out* c = p.c + blockIdx.z * p.c_batch + blockIdx.y * p.c_part;
  float* out = reinterpret_cast<float*>(shared);
  cp_async_wait<0>();
#pragma unroll 1
  for (int pass = 0; pass < B::kBM / B::kWarpM; pass++) {
    __syncthreads();  // what lay there has been read
    if (warp_row == pass) {
#pragma unroll
      for (int i = 0; i < kMs; i++) {
#pragma unroll
        for (int j = 0; j < kNs; j++) {
#pragma unroll
          for (int half = 0; half < 2; half++) {
            float* to = out + (16 * i + 8 * half + lane / 4) * B::kSumStride + warp_col * B::kWarpN + 8 * j + 2 * (lane % 4);
            store_vec<2>(to, Vec<float, 2>{{sums[i][j][2 * half], sums[i][j][2 * half + 1]}});
          }
        }
      }
    }
    __syncthreads();
#pragma unroll 1
    for (int i = static_cast<int>(threadIdx.x); i < B::kWarpM * B::kBN / 4; i += B::kThreads) {
      int in_row = i / (B::kBN / 4), in_col = i % (B::kBN / 4) * 4;
      int row = corner.row + pass * B::kWarpM + in_row, col = corner.col + in_col;
      if (row < p.m && col < p.n) store_sums<kEpilogue>(p, c, row, col, load_vec<4>(out + in_row * B::kSumStride + in_col));
    }
  }
}

// Instances of one block shape: all four layouts, results of the operands' type or fp32. Only y = f(x·wᵀ + bias) has
// an epilogue: x [m, k], w [n, k], y of their type.
#define MATMUL_KERNEL(prefix, Block, layout, kTransA, kTransB, kEpilogue, T, suffix, Out, out_suffix)                          \
  KERNEL(prefix##_##layout##_##suffix##_##out_suffix, MATMUL_PARAMETERS(T, Out), Block::kThreads, 2) {                         \
    matmul<Block, kTransA, kTransB, kEpilogue>(MATMUL_PRODUCT(T, Out));                                                        \
  }
#define MATMUL_INSTANCES(prefix, Block, T, suffix)                                \
  MATMUL_KERNEL(prefix, Block, nt, false, true, true, T, suffix, T, suffix)       \
  MATMUL_KERNEL(prefix, Block, nn, false, false, false, T, suffix, T, suffix)     \
  MATMUL_KERNEL(prefix, Block, tn, true, false, false, T, suffix, T, suffix)      \
  MATMUL_KERNEL(prefix, Block, tt, true, true, false, T, suffix, T, suffix)       \
  MATMUL_KERNEL(prefix, Block, nt, false, true, false, T, suffix, float, f32)     \
  MATMUL_KERNEL(prefix, Block, nn, false, false, false, T, suffix, float, f32)    \
  MATMUL_KERNEL(prefix, Block, tn, true, false, false, T, suffix, float, f32)     \
  MATMUL_KERNEL(prefix, Block, tt, true, true, false, T, suffix, float, f32)
