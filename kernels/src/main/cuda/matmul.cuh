// matmul.cuh: c (+)= f(op(a)·op(b) + bias) as the kernels of matrix products share it: what a product is, where its
// results go, which tile a block computes; and the whole kernel for half types on tensor cores.
#pragma once
#include "activation.cuh"
#include "tile.cuh"

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

// A thread's sums: 4 neighbours from column `col` on, of which `count` exist, in kRows rows `step` apart, of which those
// before `rows` exist.
template <int kRows>
struct Sums {
  Vec<float, 4> v[kRows];
  int col, count, step, rows;

  template <class T>
  __device__ __forceinline__ void add_bias(const T* bias) {
    auto four = load_up_to_4(bias + col, count);
#pragma unroll
    for (int r = 0; r < kRows; r++) {
#pragma unroll
      for (int i = 0; i < 4; i++) v[r][i] += four[i];
    }
  }

  // to (+)= v, `to` the first of the elements; a row's in one access where all rows' are whole and aligned.
  template <class T>
  __device__ __forceinline__ void store(T* to, int64_t stride, bool accumulate) {
    bool whole = count == 4 && is_aligned(to, 4 * sizeof(T)) && stride % 4 == 0;
    if (whole && accumulate) {
      Vec<T, 4> before[kRows];  // all are on their way before the first one is needed
#pragma unroll
      for (int r = 0; r < kRows; r++) {
        if (r * step < rows) before[r] = load_vec<4>(to + r * step * stride);
      }
#pragma unroll
      for (int r = 0; r < kRows; r++) {
#pragma unroll
        for (int i = 0; i < 4; i++) v[r][i] += to_float(before[r][i]);
      }
    }
#pragma unroll
    for (int r = 0; r < kRows; r++) {
      if (r * step >= rows) continue;
      T* at = to + r * step * stride;  // strides are 64-bit: row·stride may pass 2^31
      if (whole) {
        Vec<T, 4> packed;
#pragma unroll
        for (int i = 0; i < 4; i++) packed[i] = from_float<T>(v[r][i]);
        store_vec(at, packed);
      } else {
#pragma unroll
        for (int i = 0; i < 4; i++) {
          if (i < count) at[i] = from_float<T>(accumulate ? to_float(at[i]) + v[r][i] : v[r][i]);
        }
      }
    }
  }
};

// The end of a product, for sums from row `row` on. kEpilogue: whether there may be a bias or an activation. f sees the
// fp32 sum, not z rounded.
template <bool kEpilogue, int kRows, class T, class Out>
__device__ __forceinline__ void finish(const Product<T, Out>& p, Out* c, int row, Sums<kRows>& sums) {
  if constexpr (kEpilogue) {
    if (p.bias != nullptr) sums.add_bias(p.bias);
    if (p.z != nullptr) sums.store(p.z + row * p.z_stride + sums.col, p.z_stride, false);
    if (p.activation >= 0) activate(Activation(p.activation), sums.v);
  }
  sums.store(c + row * p.c_stride + sums.col, p.c_stride, p.accumulate);
}

// Tiles of c --------------------------------------------------------------------------------------
struct Corner {
  int row, col;
};

// Tiles in the order of their blocks: down groups of 16 tile rows, group column by group column. Blocks that run at the
// same time then share few rows of a and few columns of b, which stay in the L2 cache:
//
//      0 16 32 …        against row by row, where the 264 blocks that an H200 runs at a time
//      1 17 33 …        would read 1 tile row of a wide c's a and 264 tile columns of b,
//      …                here they read 16 and 17
//     15 31 47 …
template <int kBM, int kBN>
__device__ __forceinline__ Corner tile_corner(int m, int n) {
  constexpr int kGroup = 16;
  int rows = (m + kBM - 1) / kBM, columns = (n + kBN - 1) / kBN;
  int tile = static_cast<int>(blockIdx.x), group = tile / (kGroup * columns), in_group = tile % (kGroup * columns);
  int height = min(rows - group * kGroup, kGroup);
  return {(group * kGroup + in_group % height) * kBM, in_group / height * kBN};
}

// Operands in shared memory -----------------------------------------------------------------------
constexpr int kDepth = 32;  // of the tiles along k

// Brings the tiles of one operand, one after another along k, from global into shared memory. kAlongK: rows are stored
// along k (a as [m, k], b as [n, k]), and the tile is [kOuter, 32]; else it is [32, kOuter]. What lies beyond the
// matrix is zeros, which add nothing to a sum.
template <class T, bool kAlongK, int kOuter, int kThreads>
struct Source {
  using Shape = Tile<T, kAlongK ? kOuter : kDepth, kAlongK ? kDepth : kOuter>;
  static constexpr int kRowStep = kThreads / Shape::kChunks;  // a thread has the same chunk of rows so far apart
  static constexpr int kHops = Shape::kRows / kRowStep;
  static_assert(kThreads % Shape::kChunks == 0 && kRowStep % 8 == 0 && Shape::kRows % kRowStep == 0);

  const T* from;         // this thread's first chunk of the next tile
  int64_t hop, step;     // elements to its next chunk, to the next tile
  int row, col;          // of the first chunk in the stored matrix
  int row_end, col_end;  // where that ends
  int to;                // of the first chunk in the shared tile, in elements
  bool whole;            // rows begin at 16-byte boundaries: copied asynchronously, in chunks
  int plain;             // of the next so many tiles, all of this thread's chunks are whole

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
    int rows_left = row_end - row - (kHops - 1) * kRowStep, cols_left = col_end - col - 7;  // for the last chunk
    plain = !whole || rows_left <= 0 || cols_left <= 0 ? 0 : ((kAlongK ? cols_left : rows_left) + kDepth - 1) / kDepth;
  }

  // Begins to fill a tile with the next one of the matrix.
  __device__ __forceinline__ void load(T* tile) {
    if (plain > 0) {
#pragma unroll
      for (int i = 0; i < kHops; i++) cp_async<16>(tile + to + i * kRowStep * Shape::kCols, from + i * hop);
    } else {
      load_edge(tile);
    }
    plain--;
    from += step;
    (kAlongK ? col : row) += kDepth;
  }

  __device__ __forceinline__ void load_edge(T* tile) const {
    int elements = min(max(col_end - col, 0), 8);
#pragma unroll 1
    for (int i = 0; i < kHops; i++) {
      int there = row + i * kRowStep < row_end ? elements : 0;
      T* chunk = tile + to + i * kRowStep * Shape::kCols;
      if (whole) {
        cp_async<16>(chunk, from + i * hop, there * static_cast<int>(sizeof(T)));
      } else {
        Vec<T, 8> v;
#pragma unroll
        for (int e = 0; e < 8; e++) v[e] = e < there ? from[i * hop + e] : from_float<T>(0.0f);
        store_vec(chunk, v);
      }
    }
  }
};

// A warp's part of an operand: kPatches patches of 16x16 from its tile, as mma.sync wants them: four 8x8 matrices of
// (outer, k), each lane with two neighbours in k. Stored along k they come as they lie, else ldmatrix transposes them.
// Lanes 8q … 8q+7 point at the rows of matrix q, which is the upper or lower half of the patch in outer and in k by
// `outer_half`, `k_half`:
//
//            k  0 … 7   8 … 15                k  0 … 7   8 … 15
//   a  rows 0 … 7   q=0     q=2      b  columns 0 … 7   q=0     q=1      b: registers 0, 1 are one column block's
//      rows 8 … 15  q=1     q=3         columns 8 … 15  q=2     q=3         two, 2 and 3 the next one's
template <class Shape, bool kAlongK, int kPatches>
struct Part {
  Patches<Shape> patches;

  __device__ __forceinline__ Part(int outer, int outer_half, int k_half)
      : patches(kAlongK ? outer + 8 * outer_half + lane_index() % 8 : 8 * k_half + lane_index() % 8, kAlongK ? k_half : outer / 8 + outer_half) {}

  template <class T>
  __device__ __forceinline__ void load(uint32_t (&r)[kPatches][4], const T* tile, int k) const {
#pragma unroll
    for (int i = 0; i < kPatches; i++) {
      if constexpr (kAlongK) {
        ldmatrix_x4(r[i], tile + patches.at(16 * i, k / 8));
      } else {
        ldmatrix_x4_trans(r[i], tile + patches.at(k, 2 * i));
      }
    }
  }
};

// The product on tensor cores ---------------------------------------------------------------------
// A block computes a tile of c, a warp a part of it; kStages tiles of a and b are under way.
template <int kBM_, int kBN_, int kWarpM_, int kWarpN_, int kStages_, int kBlocks_>
struct BlockShape {
  static constexpr int kBM = kBM_, kBN = kBN_, kWarpM = kWarpM_, kWarpN = kWarpN_, kStages = kStages_;
  static constexpr int kBlocks = kBlocks_;  // on a multiprocessor, by their registers
  static constexpr int kWarpsN = kBN / kWarpN, kThreads = 32 * (kBM / kWarpM) * kWarpsN;
  static constexpr int kTileBytes = kStages * (kBM + kBN) * kDepth * 2;
  static constexpr int kSumStride = kBN + 8;  // floats; two lanes in 8 rows apart write to different banks
  static constexpr int kSumBytes = kWarpM * kSumStride * 4;
  static constexpr int kSharedBytes = kTileBytes > kSumBytes ? kTileBytes : kSumBytes;
};

// What a warp multiplies at once: 16 of k.
template <int kMs, int kNs>
struct Fragments {
  uint32_t a[kMs][4], b[kNs / 2][4];

  template <class T>
  __device__ __forceinline__ void multiply(float (&sums)[kMs][kNs][4]) const {
#pragma unroll
    for (int i = 0; i < kMs; i++) {
#pragma unroll
      for (int j = 0; j < kNs; j++) {
        uint32_t two[2] = {b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]};
        mma_m16n8k16<T>(sums[i][j], a[i], two);
      }
    }
  }
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

  // A group of copies for every step, empty ones at the end, so that the latest are always those of the same steps.
#pragma unroll 1
  for (int s = 0; s < B::kStages; s++) {
    if (s < steps) {
      a.load(tiles + s * kStageElements);
      b.load(tiles + s * kStageElements + A_::Shape::kElements);
    }
    cp_async_commit();
  }

  int lane = lane_index(), warp_row = warp_index() / B::kWarpsN, warp_col = warp_index() % B::kWarpsN;
  Part<typename A_::Shape, !kTransA, kMs> part_a(warp_row * B::kWarpM, lane / 8 % 2, lane / 16);
  Part<typename B_::Shape, kTransB, kNs / 2> part_b(warp_col * B::kWarpN, lane / 16, lane / 8 % 2);
  Fragments<kMs, kNs> first, second;  // of a step's 32: one is read while the other is multiplied
  static_assert(kDepth == 32);
  auto read = [&](Fragments<kMs, kNs>& f, const T* tile, int k) {
    part_a.load(f.a, tile, k);
    part_b.load(f.b, tile + A_::Shape::kElements, k);
  };

  float sums[kMs][kNs][4] = {};
  cp_async_wait<B::kStages - 1>();
  __syncthreads();
  read(first, tiles, 0);
  int stage = 0;
#pragma unroll 1
  for (int step = 0; step < steps; step++) {
    T* tile = tiles + stage * kStageElements;
    read(second, tile, 16);
    first.template multiply<T>(sums);
    cp_async_wait<B::kStages - 2>();
    __syncthreads();  // the next step's tiles are there for all; this step's have been read by all
    if (step + B::kStages < steps) {
      a.load(tile);
      b.load(tile + A_::Shape::kElements);
    }
    cp_async_commit();
    stage = stage + 1 == B::kStages ? 0 : stage + 1;
    read(first, tiles + stage * kStageElements, 0);  // after the last step: of no use
    second.template multiply<T>(sums);
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
    constexpr int kRowStep = B::kThreads / (B::kBN / 4), kRows = B::kWarpM / kRowStep;  // 4 columns of so many rows are a thread's
    constexpr int kAtOnce = 4;
    int in_row = static_cast<int>(threadIdx.x) / (B::kBN / 4), in_col = static_cast<int>(threadIdx.x) % (B::kBN / 4) * 4;
    int row = corner.row + pass * B::kWarpM + in_row, col = corner.col + in_col;
    const float* from = out + in_row * B::kSumStride + in_col;
#pragma unroll 1
    for (int r = 0; r < kRows && row < p.m && col < p.n; r += kAtOnce) {
      Sums<kAtOnce> four{{}, col, min(4, p.n - col), kRowStep, p.m - row};
#pragma unroll
      for (int i = 0; i < kAtOnce; i++) four.v[i] = load_vec<4>(from + i * kRowStep * B::kSumStride);
      finish<kEpilogue>(p, c, row, four);
      row += kAtOnce * kRowStep;
      from += kAtOnce * kRowStep * B::kSumStride;
    }
  }
}

// Instances of one block shape: all four layouts, results of the operands' type or fp32. Only y = f(x·wᵀ + bias) has
// an epilogue: x [m, k], w [n, k], y of their type.
#define MATMUL_KERNEL(prefix, Block, layout, kTransA, kTransB, kEpilogue, T, suffix, Out, out_suffix)                          \
  KERNEL(prefix##_##layout##_##suffix##_##out_suffix, MATMUL_PARAMETERS(T, Out), Block::kThreads, Block::kBlocks) {                      \
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
