// matmul_hopper.cuh: c (+)= f(op(a)·op(b) + bias) for compute capability 9.0, where tiles arrive by TMA and wgmma reads
// them from shared memory itself. The same products as matmul.cuh, which stays for older devices and for matrices that
// no tensor map describes. The way here: docs/kernels/ladder, rungs 10 to 14. Marks (@name): what PipelineMutationTest
// breaks to see whether the emulated device notices.
//
//   warpgroup 0, one thread:  wait empty → announce bytes → two TMA loads          registers: 40
//   warpgroups 1 and 2:       wait full → 4 wgmma of 64xN → release the step before → … → results     232 each
//
//   ring     full[s]:  1 arrival and kStageBytes        empty[s]: an arrival of each multiplying warpgroup
//            Its stages and parities go on from tile to tile, so that the first steps of the next tile arrive while the
//            results of this one leave.
//
//   cluster  Blocks of a cluster have tiles one below the other, with the same columns: each brings its part of b to all by
//            multicast, and a of its own. A stage is filled by all of them, so empty[s] has an arrival of each multiplying
//            warpgroup of each block, and full[s] counts the bytes of the block alone, whoever sends them.
#pragma once
#include "activation.cuh"
#include "hopper_tile.cuh"

// A block computes 128 x kN of c, a multiplying warpgroup 64 x kN of that; a step is 64 of k, 128 bytes.
template <int kN_, int kBoxes_ = 4, int kCluster_ = 1>
struct HopperTile {
  static constexpr int kM = 128, kN = kN_, kK = 64, kCluster = kCluster_;
  static constexpr int kWarpgroups = kM / 64, kThreads = 128 * (1 + kWarpgroups);
  static constexpr int kBoxBytes = 64 * 128;  // 64 rows of a swizzled tile
  static constexpr int kABytes = kM * 128, kStageBytes = kABytes + kN * 128;
  static constexpr int kBoxes = kBoxes_;  // of results, for each warpgroup
  // As many stages as a block's 227 KB have room for; its barriers take 1024 bytes, by alignment.
  static constexpr int kStages = (232448 - 1024 - kWarpgroups * kBoxes * kBoxBytes) / kStageBytes;
};

struct HopperProduct {
  int m, n, k;
  int k_part, parts;  // part p of k begins at p·k_part, a multiple of 64; its sums go to z = p of the map of c
  int64_t c_stride;
  bool accumulate;
  bool keep_z;
  int activation;  // -1: none
};

// Work of a block, one after the other: every tile of part 0 of k, then of part 1, …; tiles down groups of 16 tile rows
// as in matmul.cuh, so that blocks that run together share operands in the L2 cache. A cluster's tiles are one here; the
// last may lie below the matrix, whose rows are then zeros that nobody stores.
template <class Tile>
struct TileOrder {
  static constexpr int kRows = Tile::kM * Tile::kCluster, kGroup = 16 / Tile::kCluster;
  int rows, columns, end;
  int rank;            // of the block in its cluster
  int row, col, part;  // of the tile where it stands

  __device__ __forceinline__ TileOrder(const HopperProduct& p)
      : rows((p.m + kRows - 1) / kRows), columns((p.n + Tile::kN - 1) / Tile::kN), end(rows * columns * p.parts), rank(0) {
    if constexpr (Tile::kCluster > 1) rank = cluster_rank();
  }

  __device__ __forceinline__ static int first() { return static_cast<int>(blockIdx.x) / Tile::kCluster; }
  __device__ __forceinline__ static int stride() { return static_cast<int>(gridDim.x) / Tile::kCluster; }

  __device__ __forceinline__ void go(int work) {
    int tile = work % (rows * columns), group = tile / (kGroup * columns), in_group = tile % (kGroup * columns);
    int height = min(rows - group * kGroup, kGroup);  // @tile-height
    part = work / (rows * columns);
    row = (group * kGroup + in_group % height) * kRows + rank * Tile::kM;  // @tile-row
    col = in_group / height * Tile::kN;  // @tile-col
  }
  __device__ __forceinline__ int steps(const HopperProduct& p) const {
    return (min(p.k - part * p.k_part, p.k_part) + Tile::kK - 1) / Tile::kK;  // @tile-steps
  }
};

// A block's part of a step of b, to all blocks of its cluster: of its rows, where they are columns of c, else of its k.
template <class Tile, bool kTransB>
__device__ __forceinline__ void bring_part(unsigned char* to, const TensorMap* b, uint64_t* arrived, int k, const TileOrder<Tile>& order) {
  constexpr int kAll = (1 << Tile::kCluster) - 1;  // @mask
  if constexpr (kTransB) {
    constexpr int kRows = Tile::kN / Tile::kCluster;
    tma_load_2d_multicast(to + order.rank * kRows * 128, b, arrived, k, order.col + order.rank * kRows, kAll);  // @multicast
  } else {
    constexpr int kRows = Tile::kK / Tile::kCluster;
#pragma unroll
    for (int i = 0; i < Tile::kN / 64; i++) tma_load_2d_multicast(to + i * Tile::kBoxBytes + order.rank * kRows * 128, b, arrived, order.col + 64 * i, k + order.rank * kRows, kAll);  // @multicast-across
  }
}

// A warpgroup has read a stage, and says so to all blocks that fill it.
template <class Tile>
__device__ __forceinline__ void release_to_all(uint64_t* empty) {
  int block = static_cast<int>(threadIdx.x) % 128;
  if (block < Tile::kCluster) mbarrier_arrive_at(empty, block);  // @release-to-all
}

// Fills the ring, tile after tile. One thread. The first time round stages are empty: the wait is for the parity before.
// Zeros beyond the matrix count as bytes that arrive.
template <class Tile, bool kTransA, bool kTransB>
__device__ __forceinline__ void bring(unsigned char* stages, uint64_t* full, uint64_t* empty, const TensorMap* a, const TensorMap* b, const HopperProduct& p) {
  TileOrder<Tile> order(p);
  RingPlace<Tile::kStages> ring;
  for (int work = order.first(); work < order.end; work += order.stride()) {  // @bring-work
    order.go(work);
    int steps = order.steps(p), k = order.part * p.k_part;
    for (int step = 0; step < steps; step++, k += Tile::kK) {  // @bring-step
      unsigned char *to_a = stages + ring.slot * Tile::kStageBytes, *to_b = to_a + Tile::kABytes;
      uint64_t* arrived = full + ring.slot;
      if constexpr (Tile::kCluster == 1) {
        mbarrier_wait(empty + ring.slot, ring.parity ^ 1);  // @empty-wait
      } else {
        mbarrier_wait_cluster(empty + ring.slot, ring.parity ^ 1);  // @empty-wait-cluster
      }
      mbarrier_arrive_expect(arrived, Tile::kStageBytes);  // @expect
      if constexpr (kTransA) {
#pragma unroll
        for (int i = 0; i < Tile::kM / 64; i++) tma_load_2d(to_a + i * Tile::kBoxBytes, a, arrived, order.row + 64 * i, k);  // @load-a-across
      } else {
        tma_load_2d(to_a, a, arrived, k, order.row);  // @load-a
      }
      if constexpr (Tile::kCluster > 1) {
        bring_part<Tile, kTransB>(to_b, b, arrived, k, order);
      } else if constexpr (kTransB) {
        tma_load_2d(to_b, b, arrived, k, order.col);  // @load-b
      } else {
#pragma unroll
        for (int i = 0; i < Tile::kN / 64; i++) tma_load_2d(to_b + i * Tile::kBoxBytes, b, arrived, order.col + 64 * i, k);  // @load-b-across
      }
      ring.next();  // @bring-next
    }
  }
}

// Results -----------------------------------------------------------------------------------------
// A lane's sums of the 64 x kN that begin at (row, col): sums[4j + r] is row 16·warp + lane/4 + 8·(r/2), column
// 8j + 2·(lane%4) + r%2 of them.
template <int kN, class T>
__device__ __forceinline__ void add_bias(float (&sums)[kN / 2], const HopperProduct& p, int col, const T* bias) {
  col += lane_index() % 4 * 2;
#pragma unroll
  for (int i = 0; i < kN / 4; i++) {
    int c = col + i / 2 * 8 + i % 2;
    float value = c < p.n ? to_float(bias[c]) : 0.0f;
    sums[i / 2 * 4 + i % 2] += value;
    sums[i / 2 * 4 + i % 2 + 2] += value;
  }
}

// What the results are added to. n is even and rows of c begin at 16-byte boundaries: pairs are whole and aligned.
template <int kN, class Out>
__device__ __forceinline__ void add_before(float (&sums)[kN / 2], const HopperProduct& p, int row, int col, const Out* c) {
  constexpr int kAtOnce = 16;  // on their way before the first one is needed
  row += warp_index() % 4 * 16 + lane_index() / 4;
  col += lane_index() % 4 * 2;
  const Out* upper = c + row * p.c_stride + col;  // 64-bit: row·stride may pass 2^31
  const Out* lower = upper + 8 * p.c_stride;
#pragma unroll
  for (int i = 0; i < kN / 4; i += kAtOnce) {
    Vec<Out, 2> before[kAtOnce];
#pragma unroll
    for (int j = 0; j < kAtOnce; j++) {
      int right = (i + j) / 2 * 8;
      bool inside = row + j % 2 * 8 < p.m && col + right < p.n;
      before[j] = inside ? load_vec<2>((j % 2 == 0 ? upper : lower) + right) : Vec<Out, 2>{};
    }
#pragma unroll
    for (int j = 0; j < kAtOnce; j++) {
      sums[2 * (i + j)] += to_float(before[j][0]);
      sums[2 * (i + j) + 1] += to_float(before[j][1]);
    }
  }
}

// 32 of a thread's sums at a time, which change places with the rest: eight functions unrolled over all of them would be
// a program larger than the instruction cache.
template <int kSums>
__device__ __forceinline__ void activate_in_turns(Activation f, float (&sums)[kSums]) {
#pragma unroll 1
  for (int turn = 0; turn < kSums / 32; turn++) {
    Vec<float, 32> v[1];
#pragma unroll
    for (int i = 0; i < 32; i++) v[0][i] = sums[i];
    activate(f, v);
#pragma unroll
    for (int i = 0; i < kSums; i++) sums[i] = i + 32 < kSums ? sums[i + 32] : v[0][i + 32 - kSums];
  }
}

// A warpgroup's boxes in shared memory, 64 rows of 128 bytes each, in which results wait for their TMA store.
template <int kBoxes>
struct Outbox {
  unsigned char* boxes;
  int barrier;   // the warpgroup's own
  int next = 0;  // box to fill; whoever passed the barrier of the one before knows that it is free

  __device__ __forceinline__ static bool leads() { return threadIdx.x % 128 == 0; }

  // The 64 x kN that begin at (row, col) of matrix `part`; what lies outside of it is not written.
  template <int kN, class Out>
  __device__ __forceinline__ void store(const float (&sums)[kN / 2], const TensorMap* map, int row, int col, int part) {
    constexpr int kCols = 128 / static_cast<int>(sizeof(Out));  // of a box
#pragma unroll
    for (int i = 0; i < kN / kCols; i++) {
      unsigned char* box = boxes + next * 8192;  // @box
      // All who wrote say so to the other path, and the next box has been read, as all but the latest two have: then all.
      fill_box<Out>(box, sums + i * kCols / 2);        // @fill
      fence_proxy_async();                             // @proxy-fence
      if (leads()) tma_store_wait_read<kBoxes - 2>();  // @read-wait
      named_barrier_sync(barrier, 128);                // @box-barrier
      if (leads()) {
        tma_store_3d(map, box, col + i * kCols, row, part);  // @store
        tma_store_commit();                                  // @store-commit
      }
      next = (next + 1) % kBoxes;  // @box-next
    }
  }
};

// What becomes of a warpgroup's sums: c (+)= f(sums + bias), and z. Other kernels with this product have their own:
// finish(sums, order, row, outbox) of the 64 x kN that begin at (row, order.col).
template <class Tile, bool kEpilogue, class T, class Out>
struct StoreResults {
  const TensorMap *c_map, *z_map;
  const HopperProduct& p;
  const Out* c;
  const T* bias;

  __device__ __forceinline__ void operator()(float (&sums)[Tile::kN / 2], const TileOrder<Tile>& order, int row, Outbox<Tile::kBoxes>& outbox) const {
    constexpr int kN = Tile::kN;
    if (p.accumulate) add_before<kN>(sums, p, row, order.col, c);  // @accumulate
    if constexpr (kEpilogue) {
      if (bias != nullptr) add_bias<kN>(sums, p, order.col, bias);
      if (p.keep_z) outbox.template store<kN, Out>(sums, z_map, row, order.col, 0);
      if (p.activation >= 0) activate_in_turns(Activation(p.activation), sums);
    }
    outbox.template store<kN, Out>(sums, c_map, row, order.col, order.part);
  }
};

// Empties the ring. A warpgroup.
template <class Tile, bool kTransA, bool kTransB, class T, class Finish>
__device__ __forceinline__ void multiply(int warpgroup, unsigned char* stages, uint64_t* full, uint64_t* empty, const HopperProduct& p, const Finish& finish) {
  // A step of a descriptor: bytes to the next 16 of k.
  constexpr int kN = Tile::kN, kAStep = kTransA ? 2048 : 32, kBStep = kTransB ? 32 : 2048;  // @k-step
  Outbox<Tile::kBoxes> outbox{stages + Tile::kStages * Tile::kStageBytes + warpgroup * Tile::kBoxes * Tile::kBoxBytes, 1 + warpgroup};  // @outbox
  TileOrder<Tile> order(p);
  RingPlace<Tile::kStages> ring;
  float sums[kN / 2];
  for (int work = order.first(); work < order.end; work += order.stride()) {  // @multiply-work
    order.go(work);
    int steps = order.steps(p);
    uint64_t* before = nullptr;  // of the step before
    for (int step = 0; step < steps; step++) {
      unsigned char *a = stages + ring.slot * Tile::kStageBytes + warpgroup * Tile::kBoxBytes, *b = stages + ring.slot * Tile::kStageBytes + Tile::kABytes;
      uint64_t da = kTransA ? wgmma_descriptor_transposed(a, Tile::kBoxBytes) : wgmma_descriptor(a);  // @describe-a
      uint64_t db = kTransB ? wgmma_descriptor(b) : wgmma_descriptor_transposed(b, Tile::kBoxBytes);  // @describe-b
      mbarrier_wait(full + ring.slot, ring.parity);  // @full-wait
      wgmma_fence();                                 // @wgmma-fence
#pragma unroll
      for (int i = 0; i < Tile::kK / 16; i++) wgmma_m64k16<kN, T, kTransA, !kTransB>(sums, wgmma_advance(da, i * kAStep), wgmma_advance(db, i * kBStep), step + i > 0);  // @product
      wgmma_commit();  // @wgmma-commit
      // This step is under way, the one before has been read.
      wgmma_wait<1>();  // @wgmma-wait
      if constexpr (Tile::kCluster == 1) {
        if (before != nullptr && Outbox<Tile::kBoxes>::leads()) mbarrier_arrive(before);  // @release
      } else {
        if (before != nullptr) release_to_all<Tile>(before);  // @release-cluster
      }
      before = empty + ring.slot;  // @release-next
      ring.next();  // @multiply-next
    }
    wgmma_wait<0>();  // @wgmma-wait-all
    if constexpr (Tile::kCluster == 1) {
      if (Outbox<Tile::kBoxes>::leads()) mbarrier_arrive(before);  // @release-last
    } else {
      release_to_all<Tile>(before);  // @release-last-cluster
    }

    finish(sums, order, order.row + warpgroup * 64, outbox);
  }
  // Shared memory is the block's until it has been read.
  if (Outbox<Tile::kBoxes>::leads()) tma_store_wait<0>();  // @store-wait
}

template <class Tile, bool kTransA, bool kTransB, class T, class Finish>
__device__ __forceinline__ void matmul_hopper(const TensorMap* a, const TensorMap* b, const HopperProduct& p, const Finish& finish) {
  DYNAMIC_SHARED(unsigned char, stages);
  __shared__ uint64_t full[Tile::kStages], empty[Tile::kStages];
  if (threadIdx.x == 0) {
    for (int i = 0; i < Tile::kStages; i++) {
      mbarrier_init(full + i, 1);                                    // @init-full
      mbarrier_init(empty + i, Tile::kWarpgroups * Tile::kCluster);  // @init-empty
    }
    fence_mbarrier_init();  // @init-fence
  }
  if constexpr (Tile::kCluster == 1) {
    __syncthreads();  // @init-barrier
  } else {
    cluster_barrier();  // @init-cluster-barrier
  }
  int warpgroup = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / 128, 0);  // the compiler sees that a warp agrees
  if (warpgroup == 0) {
    registers_decrease<40>();  // @registers-bring
    if (threadIdx.x == 0) bring<Tile, kTransA, kTransB>(stages, full, empty, a, b, p);
  } else {
    registers_increase<232>();  // @registers-multiply
    multiply<Tile, kTransA, kTransB, T>(warpgroup - 1, stages, full, empty, p, finish);
  }
  if constexpr (Tile::kCluster > 1) {
    __syncwarp();
    cluster_barrier();  // @end
  }
}

#define MATMUL_HOPPER_PARAMETERS(T, Out)                                                                                                \
  (const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, const __grid_constant__ TensorMap c_map,                   \
   const __grid_constant__ TensorMap z_map, const Out* c, const T* bias, int m, int n, int k, int k_part, int parts, int64_t c_stride,  \
   int accumulate, int keep_z, int activation)
#define MATMUL_HOPPER_BODY(Tile, kTransA, kTransB, kEpilogue, T, Out)                                             \
  HopperProduct p{m, n, k, k_part, parts, c_stride, accumulate != 0, keep_z != 0, activation};                    \
  matmul_hopper<Tile, kTransA, kTransB, T>(&a, &b, p, StoreResults<Tile, kEpilogue, T, Out>{&c_map, &z_map, p, c, bias});
#define MATMUL_HOPPER_KERNEL(kN, layout, kTransA, kTransB, kEpilogue, T, suffix, Out, out_suffix)                                   \
  KERNEL(matmul_hopper_##kN##_##layout##_##suffix##_##out_suffix, MATMUL_HOPPER_PARAMETERS(T, Out), HopperTile<kN>::kThreads, 1) {  \
    MATMUL_HOPPER_BODY(HopperTile<kN>, kTransA, kTransB, kEpilogue, T, Out)                                                         \
  }
// For clusters of two.
#define MATMUL_HOPPER_PAIR(kN, layout, kTransA, kTransB, kEpilogue, T, suffix, Out, out_suffix)                                                      \
  CLUSTER_KERNEL(2, matmul_hopper_##kN##_pair_##layout##_##suffix##_##out_suffix, MATMUL_HOPPER_PARAMETERS(T, Out), HopperTile<kN>::kThreads, 1) {  \
    using Tile = HopperTile<kN, 4, 2>;                                                                                                              \
    MATMUL_HOPPER_BODY(Tile, kTransA, kTransB, kEpilogue, T, Out)                                                                                   \
  }
// Three layouts, results of the operands' type or fp32. Only y = f(x·wᵀ + bias) has an epilogue.
#define MATMUL_HOPPER_INSTANCES(INSTANCE, kN, T, suffix)        \
  INSTANCE(kN, nt, false, true, true, T, suffix, T, suffix)     \
  INSTANCE(kN, nn, false, false, false, T, suffix, T, suffix)   \
  INSTANCE(kN, tn, true, false, false, T, suffix, T, suffix)    \
  INSTANCE(kN, nt, false, true, false, T, suffix, float, f32)   \
  INSTANCE(kN, nn, false, false, false, T, suffix, float, f32)  \
  INSTANCE(kN, tn, true, false, false, T, suffix, float, f32)
