// attention_tile.cuh: rows in shared memory, in the tiles of tile.cuh: `load_tile` fills one from memory, `store_rows` takes a
// warp's results back there.
#pragma once
#include "attention.cuh"
#include "tile.cuh"

// Whether rows begin at 16-byte boundaries and end with a chunk.
template <class T>
__device__ __forceinline__ bool in_chunks(const T* rows, int64_t stride, int dim) {
  return is_aligned(rows, 16) && stride % kVecLength<T> == 0 && dim % kVecLength<T> == 0;
}

// The chunks of a tile that a thread brings: kLanes threads side by side have a row's, each of them every kLanes-th, of
// every kRowStep-th row. Rows so far apart are swizzled alike: a thread's places are constants away from its first one.
template <class Shape>
struct Share {
  static constexpr int kLeast = kThreads / Shape::kRows;
  static constexpr int kLanes = Shape::kSwizzle > kLeast ? Shape::kSwizzle : kLeast;
  static constexpr int kRowStep = kThreads / kLanes, kColStep = kLanes * Shape::kChunk;
  static_assert(Shape::kChunks % kLanes == 0 && kLanes % Shape::kSwizzle == 0 && Shape::kRows % kRowStep == 0 && kRowStep % 8 == 0);
  __device__ __forceinline__ static int row() { return static_cast<int>(threadIdx.x) / kLanes; }
  __device__ __forceinline__ static int chunk() { return static_cast<int>(threadIdx.x) % kLanes; }
  // The first one in the rows from `rows` on.
  template <class T>
  __device__ __forceinline__ static T* of(T* rows, int64_t stride) {
    return rows + row() * stride + chunk() * Shape::kChunk;
  }
};

// Begins to fill a tile from this thread's Share of rows; rows from `rows` on and columns from `dim` on are zeros.
template <class Shape, class T>
__device__ __forceinline__ void load_share(T* tile, const T* from, int64_t stride, int rows, int dim) {
  using S = Share<Shape>;
  int row = S::row(), col = S::chunk() * Shape::kChunk;
  T* to = tile + Shape::at(row, S::chunk());
  if (in_chunks(from, stride, dim)) {
#pragma unroll
    for (int r = 0; r < Shape::kRows; r += S::kRowStep) {
#pragma unroll
      for (int c = 0; c < Shape::kCols; c += S::kColStep) {
        cp_async<16>(to + r * Shape::kStride + c, from + c, row + r < rows && col + c < dim ? 16 : 0);
      }
      from += S::kRowStep * stride;
    }
  } else {
#pragma unroll 1
    for (int r = 0; r < Shape::kRows; r += S::kRowStep) {
#pragma unroll 1
      for (int c = 0; c < Shape::kCols; c += S::kColStep) {
        Vec16<T> v;
#pragma unroll
        for (int e = 0; e < Shape::kChunk; e++) v[e] = row + r < rows && col + c + e < dim ? from[c + e] : from_float<T>(0.0f);
        store_vec(to + r * Shape::kStride + c, v);
      }
      from += S::kRowStep * stride;
    }
  }
}
template <class Shape, class T>
__device__ __forceinline__ void load_tile(T* tile, const T* rows_from, int64_t stride, int rows, int dim) {
  load_share<Shape>(tile, Share<Shape>::of(rows_from, stride), stride, rows, dim);
}

// Writes a warp's rows, or adds them, to `to`, the block's first row, of which `rows` exist. They go through `tile`,
// shared memory of the size of a RowTile of which the warp uses its rows only, in fp32; a lane has pairs (or fours)
// scattered over rows, memory wants 16 bytes after 16 bytes. Floats lie at col ^ s(row), against conflicts.
template <class M, class T, class Out>
__device__ __forceinline__ void store_rows(T* tile, const float (&x)[M::kMyRows][M::kMyDims], Out* to, int64_t stride, int rows, int dim, bool add) {
  using Shape = typename M::RowTile;
  constexpr int kChunk = kVecLength<Out>, kChunks = M::kDim / kChunk, kPassRows = M::kWarpRows / M::kRowPasses, kWarp = 32;
  int first = warp_index() * M::kWarpRows;
  float* staged = reinterpret_cast<float*>(tile + first * Shape::kStride);
  bool chunks = in_chunks(to, stride, dim);
  auto swizzle = [](int row) { return row % 4 * 8 + row % 2 * 4; };  // 4 rows of 8 floats, and 2 rows of every other 4, side by side
#pragma unroll
  for (int pass = 0; pass < M::kRowPasses; pass++) {
    __syncwarp();
#pragma unroll
    for (int r = pass; r < M::kMyRows; r += M::kRowPasses) {
      // In a pass a lane of tensor cores has 8 of every 16 rows.
      int at = M::kRowPasses == 1 ? M::row(r) - first : r / 2 * 8 + lane_index() / 4;
#pragma unroll
      for (int d = 0; d < M::kMyDims; d += 2) {
        store_vec<2>(staged + at * M::kDim + (M::element(d) ^ swizzle(at)), Vec<float, 2>{{x[r][d], x[r][d + 1]}});
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
        auto four = load_vec<4>(staged + at * M::kDim + ((col + e) ^ swizzle(at)));
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
