// attention.cuh: what every kernel of scaled dot-product attention is made of. A block of 4 warps keeps rows (queries, or
// keys for their gradients), its warps each a part of them; columns (keys, or queries) stream by in tiles. Each idea has
// its file:
//
//   tile.cuh                where an element of a tile lies in shared memory
//   attention_tile.cuh      rows in shared memory: how they come there and how results leave
//   attention_product.cuh   the two products of tiles, on tensor cores and by FMA
//   attention_mask.cuh      which keys a query sees, and what makes a score of a product
#pragma once
#include "common.cuh"

constexpr float kLog2E = 1.44269504088896341f, kLn2 = 0.693147180559945309f;
constexpr int kWarps = 4, kThreads = 32 * kWarps;
// Blocks on a multiprocessor that the compiler is to aim at: not asked, it would rather spill a little and have three.
constexpr int kBlocks = 2;
// Dynamic shared memory of a block on 8.6 and 8.9, less what `limits_of_rows` and `block_max` declare, in whole KB.
constexpr int kMostShared = 98 * 1024;

// Rows of D elements [B, T, H, D], anywhere; elements from one to the next.
template <class T>
struct Heads {
  T* data;
  int64_t batch, time, head;
  __device__ __forceinline__ T* of(int b, int h) const { return data + b * batch + h * head; }
};
#define HEADS(T, name) T *name, int64_t name##_batch, int64_t name##_time, int64_t name##_head
#define AS_HEADS(T, name) \
  Heads<T> { name, name##_batch, name##_time, name##_head }
