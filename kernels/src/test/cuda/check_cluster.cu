// check_cluster.cu — clusters of compute capability 9.0; ClusterTest holds them against plain loops. What is marked (@name)
// PipelineMutationTest breaks: src/test/mutants/check_cluster.txt says how, and what the emulated device must report.
#include "hopper.cuh"

// For each block: its rank, the number of blocks, and the sum of what all write to its shared memory: 100·rank + thread.
KERNEL(check_cluster_sum, (int* out), 64) {
  __shared__ int box[8];
  __shared__ int mine;
  int rank = cluster_rank(), blocks = cluster_blocks();
  if (threadIdx.x == 0) mine = 7 * rank;
  cluster_barrier();
  if (static_cast<int>(threadIdx.x) < blocks) cluster_map(box, threadIdx.x)[rank] = 100 * rank + static_cast<int>(threadIdx.x);
  cluster_barrier();
  if (threadIdx.x != 0) return;  // all that others do to its shared memory is done
  int sum = mine, block = static_cast<int>(blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z));
  for (int i = 0; i < blocks; i++) sum += box[i];
  out[3 * block] = rank;
  out[3 * block + 1] = blocks;
  out[3 * block + 2] = sum;
}

// A pair of blocks: each gives its peer n numbers, one after the other, through the peer's box; the peer says when it may
// be filled again.
CLUSTER_KERNEL(2, check_cluster_ring, (int* out, int n), 64) {
  __shared__ uint64_t full, empty;
  __shared__ int box[32];
  int rank = cluster_rank(), peer = rank ^ 1, lane = lane_index();
  if (threadIdx.x == 0) {
    mbarrier_init(&full, 32);
    mbarrier_init(&empty, 32);
    fence_mbarrier_init();
  }
  cluster_barrier();
  int* to = cluster_map(box, peer);
  for (int i = 0; i < n; i++) {
    if (warp_index() == 0) {
      mbarrier_wait_cluster(&empty, i % 2 ^ 1);
      to[lane] = 1000 * i + 100 * rank + lane;
      mbarrier_arrive_at(&full, peer);
    } else {
      mbarrier_wait_cluster(&full, i % 2);
      out[(static_cast<int>(blockIdx.x) * n + i) * 32 + lane] = box[31 - lane];
      mbarrier_arrive_at(&empty, peer);
    }
  }
  cluster_barrier();
}

constexpr int kSlots = 2, kRows = 32, kHalf = kRows / 2 * 128;  // bytes of half a tile of 32 rows, 64 columns of bf16

// A pair of blocks sees every tile of a matrix in full: each brings the half of it that has its rank, to both. out: what
// each of them saw, swizzled.
CLUSTER_KERNEL(2, check_cluster_multicast, (uint4* out, const __grid_constant__ TensorMap map, int tiles), 160) {
  DYNAMIC_SHARED(unsigned char, slots);
  __shared__ uint64_t full[kSlots], empty[kSlots];
  int rank = cluster_rank();
  if (threadIdx.x == 0) {
    for (int i = 0; i < kSlots; i++) {
      mbarrier_init(&full[i], 1);   // @init-full
      mbarrier_init(&empty[i], 2);  // @init-empty
    }
    fence_mbarrier_init();  // @init-fence
  }
  cluster_arrive(), cluster_wait();  // @begin
  if (warp_index() == 4) {
    for (int t = 0; t < tiles && lane_index() == 0; t++) {
      int slot = t % kSlots, turn = t / kSlots % 2;
      unsigned char* half = slots + slot * 2 * kHalf + rank * kHalf;                // @half
      mbarrier_wait_cluster(&empty[slot], turn ^ 1);                                // @empty-wait
      mbarrier_arrive_expect(&full[slot], 2 * kHalf);                               // @expect
      tma_load_2d_multicast(half, &map, &full[slot], 0, t * kRows + rank * 16, 3);  // @load
    }
    __syncwarp();
  } else {
    for (int t = 0; t < tiles; t++) {
      int slot = t % kSlots, turn = t / kSlots % 2, thread = static_cast<int>(threadIdx.x);
      mbarrier_wait(&full[slot], turn);  // @full-wait
      const auto* tile = reinterpret_cast<const uint4*>(slots + slot * 2 * kHalf);
      for (int i = thread; i < 2 * kHalf / 16; i += 128) out[(static_cast<int>(blockIdx.x) * tiles + t) * (2 * kHalf / 16) + i] = tile[i];
      named_barrier_sync(1, 128);                                // @read-barrier
      if (thread < 2) mbarrier_arrive_at(&empty[slot], thread);  // @release
    }
  }
  cluster_barrier();  // @end
}
