// hopper_tile.cuh: what the pipelines for compute capability 9.0 share: a place in a ring of stages, a box of results.
// Marks (@name): as in matmul_hopper.cuh.
#pragma once
#include "hopper.cuh"

// Where a thread stands in the ring.
template <int kStages>
struct RingPlace {
  int slot = 0, parity = 0;
  __device__ __forceinline__ void next() {
    if (++slot == kStages) {  // @ring-turn
      slot = 0;
      parity ^= 1;  // @ring-parity
    }
  }
};

// This lane's part of a box in which results wait for their TMA store: of a warpgroup's 64 rows the first 128 bytes of
// `sums`, swizzled as the map of the results has it: chunk c of row r lies at c ^ r % 8.
template <class Out>
__device__ __forceinline__ void fill_box(unsigned char* box, const float* sums) {
  int lane = lane_index(), first = warp_index() % 4 * 16;
  if constexpr (sizeof(Out) == 2) {
    unsigned char* row = box + (first + lane % 16) * 128;
#pragma unroll
    for (int i = 0; i < 4; i++) {  // 16 columns: four matrices of 8x8
      const float* v = sums + 8 * i;
      uint32_t r[4] = {pack<Out>(v[0], v[1]), pack<Out>(v[2], v[3]), pack<Out>(v[4], v[5]), pack<Out>(v[6], v[7])};
      stmatrix_x4(row + ((2 * i + lane / 16) ^ lane % 8) * 16, r);
    }
  } else {
    // 16 lanes store 128 bytes at once, 8 columns of 4 rows each. Odd rows are two groups of columns ahead: in step 0 rows
    // 0 … 3 then write groups 0, 2, 0, 2, which the swizzle has put at 0, 2, 1, 3: into all banks.
    unsigned char* row = box + (first + lane / 4) * 128 + lane % 2 * 8;  // rows 8 apart are swizzled alike
    bool odd = lane / 4 % 2 != 0;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      int columns = odd ? i ^ 2 : i;
      float v[4];
#pragma unroll
      for (int j = 0; j < 4; j++) v[j] = odd ? sums[4 * (i ^ 2) + j] : sums[4 * i + j];
      unsigned char* at = row + ((2 * columns + lane % 4 / 2) ^ lane / 4) * 16;
      store_vec(reinterpret_cast<float*>(at), Vec<float, 2>{{v[0], v[1]}});
      store_vec(reinterpret_cast<float*>(at + 8 * 128), Vec<float, 2>{{v[2], v[3]}});
    }
  }
}
