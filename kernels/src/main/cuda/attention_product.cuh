// attention_product.cuh: the two products of tiles that all of attention is made of,
//
//   product     s[rows, cols]  = a[rows, D] · b[cols, D]ᵀ
//   accumulate  x[rows, D]    += p[rows, cols] · b[cols, D]
//
// once on tensor cores for half types (`TensorCores`), once by FMA for fp32 (`Simt`): one interface, so that a kernel is
// written once. Scores and probabilities stay in registers: what a thread has of s after one product is what the other one
// wants of p. Element (r, c) of a thread's part of s is row(r), col(c); element (r, d) of x is row(r), element(d).
#pragma once
#include "attention_tile.cuh"

// Tensor cores ------------------------------------------------------------------------------------
// x[r][c] … as the accumulators of m16n8 blocks: a lane has rows g and g+8 and columns 2t and 2t+1 of each, g = lane/4,
// t = lane%4. Two blocks side by side are, packed, the first operand of a product with 16 columns:
//
//        0 1 | 2 3 | 4 5 | 6 7     8 9 | …                  k 0 … 7   8 … 15
//   g    t=0   t=1   t=2   t=3     t=0                  g      a0        a2
//   g+8  t=0 …                     t=0              g+8        a1        a3
template <class T, int kDim_, int kRows_, int kCols_>
struct TensorCores {
  using Element = T;
  static constexpr int kDim = kDim_, kRows = kRows_, kCols = kCols_;
  static constexpr int kWarpRows = kRows / kWarps, kMs = kWarpRows / 16;  // m16n8 blocks, one below the other
  static constexpr int kMyRows = 2 * kMs, kMyCols = kCols / 4, kMyDims = kDim / 4;
  static constexpr int kRowMate = 1, kColMate = 2;  // elements to the one 8 rows, 8 columns away
  static constexpr int kRowPasses = 2;  // of results through shared memory, in which fp32 is twice as long
  using RowTile = Tile<T, kRows, kDim>;
  using ColTile = Tile<T, kCols, kDim>;
  static_assert(kWarpRows % 16 == 0 && kCols % 16 == 0 && kDim % 16 == 0);

  // In the block's rows, in a tile's columns, in a row's elements.
  __device__ __forceinline__ static int row(int r) { return warp_index() * kWarpRows + r / 2 * 16 + r % 2 * 8 + lane_index() / 4; }
  __device__ __forceinline__ static int col(int c) { return c / 2 * 8 + lane_index() % 4 * 2 + c % 2; }
  __device__ __forceinline__ static int element(int d) { return col(d); }
  __device__ __forceinline__ static bool leads_row() { return lane_index() % 4 == 0; }
  // Over the lanes that share rows.
  __device__ __forceinline__ static float row_max(float v) {
    v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 1));
    return fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 2));
  }
  __device__ __forceinline__ static float row_sum(float v) {
    v += __shfl_xor_sync(0xffffffffu, v, 1);
    return v + __shfl_xor_sync(0xffffffffu, v, 2);
  }

  // Adds a · b for one patch of a and 8 columns of b; x as accumulators of block (i, j).
  template <int kR, int kC>
  __device__ __forceinline__ static void mma(float (&x)[kR][kC], int i, int j, const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    float d[4] = {x[2 * i][2 * j], x[2 * i][2 * j + 1], x[2 * i + 1][2 * j], x[2 * i + 1][2 * j + 1]};
    uint32_t b[2] = {b0, b1};
    mma_m16n8k16<T>(d, a, b);
    x[2 * i][2 * j] = d[0], x[2 * i][2 * j + 1] = d[1], x[2 * i + 1][2 * j] = d[2], x[2 * i + 1][2 * j + 1] = d[3];
  }

  __device__ __forceinline__ static void product(float (&s)[kMyRows][kMyCols], const T* a, const T* b) {
    int lane = lane_index();
    Patches<RowTile> of_a(warp_index() * kWarpRows + lane % 16, lane / 16);
    Patches<ColTile> of_b(lane / 16 * 8 + lane % 8, lane / 8 % 2);
#pragma unroll
    for (int r = 0; r < kMyRows; r++) {
#pragma unroll
      for (int c = 0; c < kMyCols; c++) s[r][c] = 0.0f;
    }
#pragma unroll
    for (int k = 0; k < kDim; k += 16) {
      uint32_t in_a[kMs][4];
#pragma unroll
      for (int i = 0; i < kMs; i++) ldmatrix_x4(in_a[i], a + of_a.at(16 * i, k / 8));
#pragma unroll
      for (int j = 0; j < kCols / 8; j += 2) {
        uint32_t in_b[4];
        ldmatrix_x4(in_b, b + of_b.at(8 * j, k / 8));
#pragma unroll
        for (int i = 0; i < kMs; i++) {
          mma(s, i, j, in_a[i], in_b[0], in_b[1]);
          mma(s, i, j + 1, in_a[i], in_b[2], in_b[3]);
        }
      }
    }
  }

  __device__ __forceinline__ static void accumulate(float (&x)[kMyRows][kMyDims], const float (&p)[kMyRows][kMyCols], const T* b, float*) {
    int lane = lane_index();
    Patches<ColTile> of_b(lane % 16, lane / 16);
#pragma unroll
    for (int k = 0; k < kCols; k += 16) {
      uint32_t in_a[kMs][4];
#pragma unroll
      for (int i = 0; i < kMs; i++) {
#pragma unroll
        for (int e = 0; e < 4; e++) {
          int r = 2 * i + e % 2, c = k / 4 + e / 2 * 2;
          in_a[i][e] = pack<T>(p[r][c], p[r][c + 1]);
        }
      }
#pragma unroll
      for (int j = 0; j < kDim / 8; j += 2) {
        uint32_t in_b[4];
        ldmatrix_x4_trans(in_b, b + of_b.at(k, j));
#pragma unroll
        for (int i = 0; i < kMs; i++) {
          mma(x, i, j, in_a[i], in_b[0], in_b[1]);
          mma(x, i, j + 1, in_a[i], in_b[2], in_b[3]);
        }
      }
    }
  }

  static constexpr int kExchange = 0;  // floats of shared memory beside the tiles
};

// fp32 --------------------------------------------------------------------------------------------
// A warp is 4x8 threads: a thread has every 4th of the warp's rows and every 8th column, and 4 neighbours in each 32
// elements of a row. Probabilities go to the other threads of the row through shared memory, which only the warp uses.
template <int kDim_, int kRows_, int kCols_>
struct Simt {
  using Element = float;
  static constexpr int kDim = kDim_, kRows = kRows_, kCols = kCols_;
  static constexpr int kWarpRows = kRows / kWarps;
  static constexpr int kMyRows = kWarpRows / 4, kMyCols = kCols / 8, kMyDims = kDim / 8;
  static constexpr int kRowMate = kWarpRows % 16 == 0 ? 2 : 0, kColMate = kCols % 16 == 0 ? 1 : 0;
  static constexpr int kRowPasses = 1;
  using RowTile = Tile<float, kRows, kDim>;
  using ColTile = Tile<float, kCols, kDim>;
  static constexpr int kExchangeStride = kCols + 4, kExchange = kRows * kExchangeStride;
  static_assert(kWarpRows % 4 == 0 && kCols % 8 == 0 && kDim % 32 == 0);

  __device__ __forceinline__ static int row(int r) { return warp_index() * kWarpRows + lane_index() / 8 + 4 * r; }
  __device__ __forceinline__ static int col(int c) { return lane_index() % 8 + 8 * c; }
  __device__ __forceinline__ static int element(int d) { return d / 4 * 32 + lane_index() % 8 * 4 + d % 4; }
  __device__ __forceinline__ static bool leads_row() { return lane_index() % 8 == 0; }
  __device__ __forceinline__ static float row_max(float v) {
#pragma unroll
    for (int step = 1; step < 8; step *= 2) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, step));
    return v;
  }
  __device__ __forceinline__ static float row_sum(float v) {
#pragma unroll
    for (int step = 1; step < 8; step *= 2) v += __shfl_xor_sync(0xffffffffu, v, step);
    return v;
  }

  __device__ __forceinline__ static void product(float (&s)[kMyRows][kMyCols], const float* a, const float* b) {
#pragma unroll
    for (int r = 0; r < kMyRows; r++) {
#pragma unroll
      for (int c = 0; c < kMyCols; c++) s[r][c] = 0.0f;
    }
#pragma unroll 2
    for (int chunk = 0; chunk < RowTile::kChunks; chunk++) {
      Vec<float, 4> in_a[kMyRows], in_b[kMyCols];
#pragma unroll
      for (int r = 0; r < kMyRows; r++) in_a[r] = load_vec<4>(a + RowTile::at(row(r), chunk));
#pragma unroll
      for (int c = 0; c < kMyCols; c++) in_b[c] = load_vec<4>(b + ColTile::at(col(c), chunk));
#pragma unroll
      for (int e = 0; e < 4; e++) {
#pragma unroll
        for (int r = 0; r < kMyRows; r++) {
#pragma unroll
          for (int c = 0; c < kMyCols; c++) s[r][c] = fmaf(in_a[r][e], in_b[c][e], s[r][c]);
        }
      }
    }
  }

  __device__ __forceinline__ static void accumulate(float (&x)[kMyRows][kMyDims], const float (&p)[kMyRows][kMyCols], const float* b, float* exchange) {
    __syncwarp();  // what lay there has been read
#pragma unroll
    for (int r = 0; r < kMyRows; r++) {
#pragma unroll
      for (int c = 0; c < kMyCols; c++) exchange[row(r) * kExchangeStride + col(c)] = p[r][c];
    }
    __syncwarp();
#pragma unroll 1
    for (int k = 0; k < kCols; k += 4) {
      Vec<float, 4> in_p[kMyRows];
#pragma unroll
      for (int r = 0; r < kMyRows; r++) in_p[r] = load_vec<4>(exchange + row(r) * kExchangeStride + k);
#pragma unroll
      for (int e = 0; e < 4; e++) {
#pragma unroll
        for (int d = 0; d < kMyDims; d += 4) {
          auto in_b = load_vec<4>(b + ColTile::at(k + e, element(d) / 4));
#pragma unroll
          for (int i = 0; i < 4; i++) {
#pragma unroll
            for (int r = 0; r < kMyRows; r++) x[r][d + i] = fmaf(in_p[r][e], in_b[i], x[r][d + i]);
          }
        }
      }
    }
  }
};

template <class T, int kDim, int kRows, int kCols>
struct ProductsOf {
  using Type = TensorCores<T, kDim, kRows, kCols>;
};
template <int kDim, int kRows, int kCols>
struct ProductsOf<float, kDim, kRows, kCols> {
  using Type = Simt<kDim, kRows, kCols>;
};
template <class T, int kDim, int kRows, int kCols>
using Products = typename ProductsOf<T, kDim, kRows, kCols>::Type;
