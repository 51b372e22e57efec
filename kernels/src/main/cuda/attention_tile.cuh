// attention_tile.cuh: tiles of rows in shared memory. `Tile` says where an element lies, `load_tile` fills one from memory,
// `store_rows` takes a warp's results back there.
#pragma once
#include "attention.cuh"

// kRows rows of kDim elements, in chunks of 16 bytes. Half types: chunk c of row r lies at c ^ s(r), so that the 8
// successive rows of an ldmatrix lie in different banks, drawn in matmul.cuh. fp32: rows are a chunk longer instead.
template <class T, int kRows_, int kDim_>
struct Tile {
  static constexpr int kRows = kRows_, kDim = kDim_;
  static constexpr int kChunk = kVecLength<T>, kChunks = kDim / kChunk;
  static constexpr bool kSwizzled = sizeof(T) == 2;
  static constexpr int kStride = kSwizzled ? kDim : kDim + kChunk;
  static constexpr int kElements = kRows * kStride;
  static_assert(kChunks % 4 == 0 && kRows * kChunks % kThreads == 0);

  // In elements, of the beginning of a chunk.
  __device__ __forceinline__ static int at(int row, int chunk) {
    int s = !kSwizzled ? 0 : kChunks % 8 == 0 ? row % 8 : row / 2 % 4;
    return row * kStride + (chunk ^ s) * kChunk;
  }
};

// Whether rows begin at 16-byte boundaries and end with a chunk.
template <class T>
__device__ __forceinline__ bool in_chunks(const T* rows, int64_t stride, int dim) {
  return is_aligned(rows, 16) && stride % kVecLength<T> == 0 && dim % kVecLength<T> == 0;
}

// Begins to fill a tile; rows from `rows` on and columns from `dim` on are zeros.
template <class Shape, class T>
__device__ __forceinline__ void load_tile(T* tile, const T* from, int64_t stride, int rows, int dim) {
  constexpr int kEach = Shape::kRows * Shape::kChunks / kThreads;
  int thread = static_cast<int>(threadIdx.x);
  if (in_chunks(from, stride, dim)) {
#pragma unroll 1  // addresses of several chunks at once are registers that the sums need
    for (int i = 0; i < kEach; i++) {
      int n = thread + i * kThreads, row = n / Shape::kChunks, chunk = n % Shape::kChunks;
      bool there = row < rows && chunk * Shape::kChunk < dim;
      cp_async<16>(tile + Shape::at(row, chunk), from + row * stride + chunk * Shape::kChunk, there ? 16 : 0);
    }
  } else {
#pragma unroll 1
    for (int i = 0; i < kEach; i++) {
      int n = thread + i * kThreads, row = n / Shape::kChunks, chunk = n % Shape::kChunks;
      Vec16<T> v;
#pragma unroll
      for (int e = 0; e < Shape::kChunk; e++) {
        int col = chunk * Shape::kChunk + e;
        v[e] = row < rows && col < dim ? from[row * stride + col] : from_float<T>(0.0f);
      }
      store_vec(tile + Shape::at(row, chunk), v);
    }
  }
}

// Writes a warp's rows, or adds them, to `to`, the block's first row, of which `rows` exist. They go through `tile`,
// shared memory of the size of a RowTile of which the warp uses its rows only, in fp32; a lane has pairs (or fours)
// scattered over rows, memory wants 16 bytes after 16 bytes. Floats lie at col ^ 4·(row % 8), against conflicts.
template <class M, class T, class Out>
__device__ __forceinline__ void store_rows(T* tile, const float (&x)[M::kMyRows][M::kMyDims], Out* to, int64_t stride, int rows, int dim, bool add) {
  using Shape = typename M::RowTile;
  constexpr int kChunk = kVecLength<Out>, kChunks = M::kDim / kChunk, kPassRows = M::kWarpRows / M::kRowPasses, kWarp = 32;
  int first = warp_index() * M::kWarpRows;
  float* staged = reinterpret_cast<float*>(tile + first * Shape::kStride);
  bool chunks = in_chunks(to, stride, dim);
#pragma unroll
  for (int pass = 0; pass < M::kRowPasses; pass++) {
    __syncwarp();
#pragma unroll
    for (int r = pass; r < M::kMyRows; r += M::kRowPasses) {
      // In a pass a lane of tensor cores has 8 of every 16 rows.
      int at = M::kRowPasses == 1 ? M::row(r) - first : r / 2 * 8 + lane_index() / 4;
#pragma unroll
      for (int d = 0; d < M::kMyDims; d += 2) {
        store_vec<2>(staged + at * M::kDim + (M::element(d) ^ (at % 8 * 4)), Vec<float, 2>{{x[r][d], x[r][d + 1]}});
      }
    }
    __syncwarp();
#pragma unroll 1
    for (int i = lane_index(); i < kPassRows * kChunks; i += kWarp) {
      int at = i / kChunks, col = i % kChunks * kChunk;
      int row = first + (M::kRowPasses == 1 ? at : at / 8 * 16 + pass * 8 + at % 8);
      if (row >= rows || col >= dim) continue;
      Out* target = to + row * stride + col;  // strides are 64-bit
      float v[kChunk];
#pragma unroll
      for (int e = 0; e < kChunk; e += 4) {
        auto four = load_vec<4>(staged + at * M::kDim + ((col + e) ^ (at % 8 * 4)));
#pragma unroll
        for (int f = 0; f < 4; f++) v[e + f] = four[f];
      }
      if (chunks) {
        Vec16<Out> out;
        if (add) out = load_vec<kChunk>(target);
#pragma unroll
        for (int e = 0; e < kChunk; e++) out[e] = from_float<Out>(add ? to_float(out[e]) + v[e] : v[e]);
        store_vec(target, out);
      } else {
#pragma unroll
        for (int e = 0; e < kChunk; e++) {
          if (col + e < dim) target[e] = from_float<Out>(add ? to_float(target[e]) + v[e] : v[e]);
        }
      }
    }
  }
}
