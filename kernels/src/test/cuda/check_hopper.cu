// check_hopper.cu — the wrappers of hopper.cuh; HopperConformanceTest holds them against plain loops. Capability 9.0.
#include "hopper.cuh"

// A ring of two places: warp 0 passes n numbers to warp 1 through mbarriers.
KERNEL(check_hopper_ring, (int* out, int n), 64) {
  __shared__ uint64_t full[2], empty[2];
  __shared__ int box[2][32];
  int lane = lane_index();
  if (threadIdx.x == 0) {
    for (int i = 0; i < 2; i++) {
      mbarrier_init(&full[i], 32);
      mbarrier_init(&empty[i], 32);
    }
    fence_mbarrier_init();
  }
  __syncthreads();
  for (int i = 0; i < n; i++) {
    int place = i % 2, turn = i / 2 % 2;
    if (warp_index() == 0) {
      mbarrier_wait(&empty[place], turn ^ 1);
      box[place][lane] = 1000 * i + lane;
      mbarrier_arrive(&full[place]);
    } else {
      mbarrier_wait(&full[place], turn);
      out[32 * i + lane] = box[place][31 - lane];
      mbarrier_arrive(&empty[place]);
    }
  }
}

// Thread 0 fetches, all wait for the barrier; then the tile as it lies in shared memory goes to `out`.
template <class Load>
__device__ void fetch(unsigned char* out, int bytes, Load load) {
  DYNAMIC_SHARED(unsigned char, tile);
  __shared__ uint64_t barrier;
  if (threadIdx.x == 0) {
    mbarrier_init(&barrier, 1);
    fence_mbarrier_init();
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(&barrier, bytes);
    load(tile, &barrier);
  }
  mbarrier_wait(&barrier, 0);
  for (int i = threadIdx.x; i < bytes; i += 128) out[i] = tile[i];
}
KERNEL(check_hopper_bulk, (unsigned char* out, const unsigned char* in, int bytes), 128) {
  fetch(out, bytes, [=](void* tile, uint64_t* barrier) { bulk_load(tile, in, bytes, barrier); });
}
KERNEL(check_hopper_load_2d, (unsigned char* out, const __grid_constant__ TensorMap map, int bytes, int x, int y), 128) {
  fetch(out, bytes, [=, m = &map](void* tile, uint64_t* barrier) { tma_load_2d(tile, m, barrier, x, y); });
}
KERNEL(check_hopper_load_3d, (unsigned char* out, const __grid_constant__ TensorMap map, int bytes, int x, int y, int z), 128) {
  fetch(out, bytes, [=, m = &map](void* tile, uint64_t* barrier) { tma_load_3d(tile, m, barrier, x, y, z); });
}

// in → shared → the tensor. A second tile takes the place of the first once that has been read.
KERNEL(check_hopper_store_2d, (const unsigned char* in, const __grid_constant__ TensorMap map, int bytes, int x, int y0, int y1), 128) {
  DYNAMIC_SHARED(unsigned char, tile);
  for (int part = 0; part < 2; part++) {
    for (int i = threadIdx.x; i < bytes; i += 128) tile[i] = in[part * bytes + i];
    fence_proxy_async();
    __syncthreads();
    if (threadIdx.x == 0) {
      tma_store_2d(&map, tile, x, part == 0 ? y0 : y1);
      tma_store_commit();
      tma_store_wait_read<0>();
    }
    __syncthreads();
  }
}
KERNEL(check_hopper_store_3d, (const unsigned char* in, const __grid_constant__ TensorMap map, int bytes, int x, int y, int z), 128) {
  DYNAMIC_SHARED(unsigned char, tile);
  for (int i = threadIdx.x; i < bytes; i += 128) tile[i] = in[i];
  fence_proxy_async();
  __syncthreads();
  if (threadIdx.x == 0) {
    tma_store_3d(&map, tile, x, y, z);
    tma_store_commit();
    tma_store_wait<0>();
  }
}

// out [kCount][8][8] from registers in[q][lane].
#define STMATRIX_CHECK(count, suffix)                                                        \
  KERNEL(check_hopper_stmatrix_x##count##suffix, (uint16_t * out, const uint32_t* in), 32) { \
    __shared__ __align__(16) uint16_t tile[count * 64];                                      \
    uint32_t r[count];                                                                       \
    for (int q = 0; q < count; q++) r[q] = in[q * 32 + lane_index()];                        \
    stmatrix_x##count##suffix(tile + lane_index() % (count * 8) * 8, r);                     \
    __syncwarp();                                                                            \
    for (int i = lane_index(); i < count * 64; i += 32) out[i] = tile[i];                    \
  }
STMATRIX_CHECK(1, )
STMATRIX_CHECK(2, )
STMATRIX_CHECK(4, )
STMATRIX_CHECK(1, _trans)
STMATRIX_CHECK(2, _trans)
STMATRIX_CHECK(4, _trans)

// One thread of each warp.
KERNEL(check_hopper_elect, (int* out), 64) { out[threadIdx.x] = elect_one(); }

// d [64,N] = a·b with k = 64: four products in one group, then four more that add to them. Tiles by TMA with the
// 128-byte swizzle: stored with k fastest, one box of 64 k by all rows; else boxes of 64 m (or n) by 64 k.
template <int N, class T, bool kTransposedA, bool kTransposedB, bool kFragments>
__device__ void multiply(float* d, const TensorMap* map_a, const TensorMap* map_b, const T* a) {
  constexpr int kTileA = 64 * 128, kBoxesB = kTransposedB ? (N + 63) / 64 : 1, kBoxB = kTransposedB ? 64 * 128 : N * 128;
  DYNAMIC_SHARED(unsigned char, tile_a);
  unsigned char* tile_b = tile_a + kTileA;
  __shared__ uint64_t barrier;
  if (threadIdx.x == 0) {
    mbarrier_init(&barrier, 1);
    fence_mbarrier_init();
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(&barrier, kTileA + kBoxesB * kBoxB);
    tma_load_2d(tile_a, map_a, &barrier, 0, 0);
    for (int i = 0; i < kBoxesB; i++) tma_load_2d(tile_b + i * kBoxB, map_b, &barrier, kTransposedB ? 64 * i : 0, 0);
  }
  mbarrier_wait(&barrier, 0);
  uint64_t da = kTransposedA ? wgmma_descriptor_transposed(tile_a, kTileA) : wgmma_descriptor(tile_a);
  uint64_t db = kTransposedB ? wgmma_descriptor_transposed(tile_b, kBoxB) : wgmma_descriptor(tile_b);
  int lane = lane_index(), row = 16 * warp_index() + lane / 4, column = 2 * (lane % 4);
  float acc[N / 2];
  for (int pass = 0; pass < 2; pass++) {
    uint32_t fragment[4][4];
    if constexpr (kFragments) {
#pragma unroll
      for (int k = 0; k < 4; k++)
#pragma unroll
        for (int r = 0; r < 4; r++) fragment[k][r] = *reinterpret_cast<const uint32_t*>(a + (row + 8 * (r % 2)) * 64 + 16 * k + column + 8 * (r / 2));
    }
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < 4; k++) {
      uint64_t b = wgmma_advance(db, k * (kTransposedB ? 2048 : 32));
      if constexpr (kFragments) {
        wgmma_m64k16<N, T, kTransposedB>(acc, fragment[k], b, pass + k > 0);
      } else {
        wgmma_m64k16<N, T, kTransposedA, kTransposedB>(acc, wgmma_advance(da, k * (kTransposedA ? 2048 : 32)), b, pass + k > 0);
      }
    }
    wgmma_commit();
    wgmma_wait<0>();
  }
#pragma unroll
  for (int i = 0; i < N / 2; i++) d[(row + 8 * (i % 4 / 2)) * N + i / 4 * 8 + column + i % 2] = acc[i];
}

#define WGMMA_CHECK(name, N, T, trans_a, trans_b, fragments)                                                                                                      \
  KERNEL(check_hopper_##name, (float* d, const __grid_constant__ TensorMap a_map, const __grid_constant__ TensorMap b_map, const T* a), 128) { \
    multiply<N, T, trans_a, trans_b, fragments>(d, &a_map, &b_map, a);                                                                         \
  }
// Each shape once, both operands with k fastest.
#define WGMMA_SHAPE_CHECK(N) WGMMA_CHECK(wgmma_n##N, N, bf16, false, false, false)
WGMMA_SHAPE_CHECK(8)
WGMMA_SHAPE_CHECK(16)
WGMMA_SHAPE_CHECK(24)
WGMMA_SHAPE_CHECK(32)
WGMMA_SHAPE_CHECK(40)
WGMMA_SHAPE_CHECK(48)
WGMMA_SHAPE_CHECK(56)
WGMMA_SHAPE_CHECK(64)
WGMMA_SHAPE_CHECK(72)
WGMMA_SHAPE_CHECK(80)
WGMMA_SHAPE_CHECK(88)
WGMMA_SHAPE_CHECK(96)
WGMMA_SHAPE_CHECK(104)
WGMMA_SHAPE_CHECK(112)
WGMMA_SHAPE_CHECK(120)
WGMMA_SHAPE_CHECK(128)
WGMMA_SHAPE_CHECK(136)
WGMMA_SHAPE_CHECK(144)
WGMMA_SHAPE_CHECK(152)
WGMMA_SHAPE_CHECK(160)
WGMMA_SHAPE_CHECK(168)
WGMMA_SHAPE_CHECK(176)
WGMMA_SHAPE_CHECK(184)
WGMMA_SHAPE_CHECK(192)
WGMMA_SHAPE_CHECK(200)
WGMMA_SHAPE_CHECK(208)
WGMMA_SHAPE_CHECK(216)
WGMMA_SHAPE_CHECK(224)
WGMMA_SHAPE_CHECK(232)
WGMMA_SHAPE_CHECK(240)
WGMMA_SHAPE_CHECK(248)
WGMMA_SHAPE_CHECK(256)
// Each way to store and to pass the operands.
WGMMA_CHECK(wgmma_tn_n64, 64, bf16, true, false, false)
WGMMA_CHECK(wgmma_nt_n64, 64, bf16, false, true, false)
WGMMA_CHECK(wgmma_tt_n64, 64, bf16, true, true, false)
WGMMA_CHECK(wgmma_tt_n256, 256, bf16, true, true, false)
WGMMA_CHECK(wgmma_nt_n96, 96, bf16, false, true, false)
WGMMA_CHECK(wgmma_f16_n128, 128, f16, false, false, false)
WGMMA_CHECK(wgmma_f16_tt_n128, 128, f16, true, true, false)
WGMMA_CHECK(wgmma_fragment_n64, 64, bf16, false, false, true)
WGMMA_CHECK(wgmma_fragment_nt_n256, 256, bf16, false, true, true)
WGMMA_CHECK(wgmma_fragment_f16_n128, 128, f16, false, false, true)

// Moves registers from one warpgroup to the other; the work is the same.
KERNEL(check_hopper_registers, (int* out), 256, 1) {
  if (threadIdx.x < 128) {
    registers_decrease<40>();
  } else {
    registers_increase<232>();
  }
  out[threadIdx.x] = threadIdx.x;
}
