// check_pipeline.cu — c[m,n] = a[m,k]·b[n,k] in bf16, by blocks that stay: one warpgroup fetches tiles with TMA, two
// multiply them with wgmma, and the result leaves by TMA stores. m, n multiples of 128, k of 64; capability 9.0.
//
// PipelineMutationTest breaks it on purpose: the marks (@name) are the places, src/test/mutants/check_pipeline.txt says
// how, and what the emulated device must report.
#include "hopper.cuh"

constexpr int kTile = 128, kDepth = 64, kStages = 3, kConsumers = 2;
constexpr int kHalfStage = kTile * kDepth * 2, kStage = 2 * kHalfStage;  // bytes of a tile of a or b, of both

// As many slots as stages; `phase` is the parity of the turn.
struct Ring {
  int slot = 0, phase = 0;
  __device__ void advance(int slots) {
    if (++slot == slots) slot = 0, phase ^= 1;
  }
};

__device__ void fetch(unsigned char* stages, const TensorMap* a, const TensorMap* b, uint64_t* full, uint64_t* empty, int tiles, int tiles_n, int steps) {
  Ring ring;
  for (int t = blockIdx.x; t < tiles; t += gridDim.x) {
    int row = t / tiles_n * kTile, column = t % tiles_n * kTile;
    for (int s = 0; s < steps; s++) {
      unsigned char* stage = stages + ring.slot * kStage;
      mbarrier_wait(&empty[ring.slot], ring.phase ^ 1);                          // @wait-empty
      mbarrier_arrive_expect(&full[ring.slot], kStage);                          // @expect
      tma_load_2d(stage, a, &full[ring.slot], s * kDepth, row);                  // @load-a
      tma_load_2d(stage + kHalfStage, b, &full[ring.slot], s * kDepth, column);  // @load-b
      ring.advance(kStages);                                                     // @advance-fetch
    }
  }
}

// Sums of a warpgroup's 64 rows to its tile, two boxes of 64 columns with 128-byte swizzle.
__device__ void stage_out(bf16* tile, const float (&sums)[kTile / 2], int warp, int lane) {
#pragma unroll
  for (int j = 0; j < kTile / 16; j++) {
    const float* s = sums + 8 * j;
    uint32_t r[4] = {pack<bf16>(s[0], s[1]), pack<bf16>(s[2], s[3]), pack<bf16>(s[4], s[5]), pack<bf16>(s[6], s[7])};
    int row = warp * 16 + lane % 16, chunk = 2 * j + lane / 16;  // of 8 columns
    stmatrix_x4(tile + chunk / 8 * 64 * 64 + row * 64 + (chunk % 8 ^ row % 8) * 8, r);
  }
}

__device__ void multiply(unsigned char* stages, bf16* out, const TensorMap* c, uint64_t* full, uint64_t* empty, int tiles, int tiles_n, int steps) {
  int me = threadIdx.x / 128 - 1, warp = warp_index() % 4, lane = lane_index();
  bool leads = threadIdx.x % 128 == 0;
  bf16* tile = out + me * 64 * kTile;
  Ring ring;
  for (int t = blockIdx.x; t < tiles; t += gridDim.x) {
    float sums[kTile / 2];
    int last = 0;
    for (int s = 0; s < steps; s++) {
      bf16* a = reinterpret_cast<bf16*>(stages + ring.slot * kStage) + me * 64 * kDepth;
      bf16* b = reinterpret_cast<bf16*>(stages + ring.slot * kStage + kHalfStage);
      mbarrier_wait(&full[ring.slot], ring.phase);  // @wait-full
      wgmma_fence();                                // @fence-sums
      uint64_t da = wgmma_descriptor(a), db = wgmma_descriptor(b);
#pragma unroll
      for (int k = 0; k < kDepth / 16; k++) {
        wgmma_m64k16<kTile, bf16>(sums, wgmma_advance(da, 32 * k), wgmma_advance(db, 32 * k), s + k > 0);  // @product
      }
      wgmma_commit();                                    // @commit
      wgmma_wait<1>();                                   // @wait-before
      if (s > 0 && leads) mbarrier_arrive(&empty[last]);  // @release
      last = ring.slot;
      ring.advance(kStages);  // @advance-multiply
    }
    wgmma_wait<0>();                           // @wait-sums
    if (leads) mbarrier_arrive(&empty[last]);  // @release-last
    if (leads) tma_store_wait_read<0>();       // @wait-tile
    named_barrier_sync(1 + me, 128);           // @sync-tile
    stage_out(tile, sums, warp, lane);         // @write-tile
    fence_proxy_async();                       // @fence-tile
    named_barrier_sync(1 + me, 128);           // @sync-store
    if (leads) {
      int row = t / tiles_n * kTile + me * 64, column = t % tiles_n * kTile;
      tma_store_2d(c, tile, column, row);                 // @store-left
      tma_store_2d(c, tile + 64 * 64, column + 64, row);  // @store-right
      tma_store_commit();                                 // @commit-store
    }
  }
  if (leads) tma_store_wait_read<0>();  // @wait-end
}

KERNEL(check_pipeline, (const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, const __grid_constant__ TensorMap c, int tiles, int tiles_n, int steps), 384,
       1) {
  DYNAMIC_SHARED(unsigned char, stages);
  bf16* out = reinterpret_cast<bf16*>(stages + kStages * kStage);
  __shared__ uint64_t full[kStages], empty[kStages];
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; i++) {
      mbarrier_init(&full[i], 1);            // @init-full
      mbarrier_init(&empty[i], kConsumers);  // @init-empty
    }
    fence_mbarrier_init();  // @fence-init
  }
  __syncthreads();  // @sync-init
  if (threadIdx.x < 128) {
    registers_decrease<24>();  // @fewer-registers
    if (threadIdx.x == 0) fetch(stages, &a, &b, full, empty, tiles, tiles_n, steps);
  } else {
    registers_increase<240>();  // @more-registers
    multiply(stages, out, &c, full, empty, tiles, tiles_n, steps);
  }
}
