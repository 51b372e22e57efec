// tile.cuh: tiles of matrices in shared memory, and where ldmatrix finds the 16x16 patches of theirs that mma.sync wants.
#pragma once
#include "common.cuh"

// kRows rows of kCols elements, in chunks of 16 bytes. Half types: where chunk c of row r lies is swizzled, c ^ s(r), so
// that both accesses of a tile spread over all 32 banks (128 bytes):
//   - cp.async writes neighbouring chunks of a row (8 lanes, 128 bytes);
//   - ldmatrix reads the same chunk c of 8 successive rows, which unswizzled lie a row's length apart, in rows of
//     128 or 256 bytes all in the same 4 banks: 8 turns instead of 1.
//
//   rows of 64 and 192 bytes, s = r/2 % 4    rows of 128, 256, … bytes, s = r % 8  (upper bits of c stay)
//     bytes 0      64      128                  bytes 0              128
//     r=0,1  0 1 2 3|0 1 2 3                    r=0    0 1 2 3 4 5 6 7
//     r=2,3  1 0 3 2|1 0 3 2                    r=1    1 0 3 2 5 4 7 6
//     r=4,5  2 3 0 1|2 3 0 1                    r=2    2 3 0 1 6 7 4 5
//     r=6,7  3 2 1 0|3 2 1 0                    …      the digit is the chunk that lies there: each of them
//                                                      stands in 8 different places over 8 rows
// fp32, which no ldmatrix reads: rows are a chunk longer instead.
template <class T, int kRows_, int kCols_>
struct Tile {
  static constexpr int kRows = kRows_, kCols = kCols_;
  static constexpr int kChunk = kVecLength<T>, kChunks = kCols / kChunk;
  static constexpr bool kSwizzled = sizeof(T) == 2;
  static constexpr int kSwizzle = kChunks % 8 == 0 ? 8 : 4;  // chunks that change places with each other
  static constexpr int kStride = kSwizzled ? kCols : kCols + kChunk;
  static constexpr int kElements = kRows * kStride;
  static_assert(kChunks % 4 == 0);

  // In elements, of the beginning of a chunk.
  __device__ __forceinline__ static int at(int row, int chunk) {
    int s = !kSwizzled ? 0 : kSwizzle == 8 ? row % 8 : row / 2 % 4;
    return row * kStride + (chunk ^ s) * kChunk;
  }
};

// Patches of a tile, one at every multiple of 16 rows and of 2 chunks: `at` of a lane's row in the first of them, from
// which the steps to the others are added or, inside of the swizzle, flipped in: one instruction, and one register.
template <class Shape>
struct Patches {
  int base;
  __device__ __forceinline__ Patches(int row, int chunk) : base(Shape::at(row, chunk)) {}
  // rows: a multiple of 16; chunk: an even number, flipped in where the first patch has none of its bits.
  __device__ __forceinline__ int at(int rows, int chunk) const {
    return (base ^ chunk % Shape::kSwizzle * Shape::kChunk) + rows * Shape::kStride + chunk / Shape::kSwizzle * Shape::kSwizzle * Shape::kChunk;
  }
};
