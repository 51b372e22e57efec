// hopper.cuh: what compute capability 9.0 adds: mbarrier, bulk copies, tensor maps (TMA), clusters, wgmma, stmatrix. A kernel that
// uses these has a twin for older devices and is launched where the capability is 90; compiled for less, each of
// these functions stops the kernel.
#pragma once
#include "common.cuh"

#if defined(__CUDACC__)
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define HOPPER(...) asm volatile(__VA_ARGS__)
#else
#define HOPPER(...) __trap()
#endif

// CLUSTER_KERNEL(blocks, name, (parameters), threads[, blocks]): a kernel that is launched in clusters of so many blocks
// along x, as common.cuh's KERNEL otherwise.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
#define CLUSTER_KERNEL(blocks, name, parameters, ...) KERNEL(name, parameters, __VA_ARGS__)
#else
#define CLUSTER_KERNEL(blocks, name, parameters, ...) extern "C" __global__ void __cluster_dims__(blocks, 1, 1) __launch_bounds__(__VA_ARGS__) name parameters
#endif

// As the driver encodes it; a kernel takes it as `const __grid_constant__ TensorMap map` and passes on `&map`.
struct alignas(64) TensorMap {
  uint64_t opaque[16];
};

// Barriers that count arrivals and bytes ----------------------------------------------------------
// A phase ends when `arrivals` threads have arrived and all announced bytes have come; then the next begins. Waiting
// for parity 0 waits for the first, third, … phase to end, parity 1 for the second, fourth, …; so a wait for parity 1
// on a fresh barrier returns at once. One thread initialises, then fence_mbarrier_init and __syncthreads.
__device__ __forceinline__ void mbarrier_init(uint64_t* barrier, int arrivals) {
  HOPPER("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}
__device__ __forceinline__ void fence_mbarrier_init() { HOPPER("fence.mbarrier_init.release.cluster;" ::: "memory"); }
__device__ __forceinline__ void mbarrier_arrive(uint64_t* barrier) {
  HOPPER("{ .reg .b64 state; mbarrier.arrive.shared::cta.b64 state, [%0]; }" ::"r"(shared_address(barrier)) : "memory");
}
// Announces bytes that copies will bring, and arrives.
__device__ __forceinline__ void mbarrier_arrive_expect(uint64_t* barrier, int bytes) {
  HOPPER("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes) : "memory");
}
// Has the phase of this parity ended? The hardware may sleep for a while before it says no.
__device__ __forceinline__ bool mbarrier_test(uint64_t* barrier, int parity) {
  uint32_t ended = 0;
  HOPPER("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
         : "=r"(ended)
         : "r"(shared_address(barrier)), "r"(parity)
         : "memory");
  return ended != 0;
}
__device__ __forceinline__ void mbarrier_wait(uint64_t* barrier, int parity) {
  while (!mbarrier_test(barrier, parity)) {
  }
}

// Clusters ----------------------------------------------------------------------------------------
// Blocks that run together. Nobody touches another block's shared memory before he has met its threads at a
// cluster_barrier, and no block ends while others may still touch its own.
__device__ __forceinline__ int cluster_rank() {
  uint32_t rank = 0;
  HOPPER("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return static_cast<int>(rank);
}
__device__ __forceinline__ int cluster_blocks() {
  uint32_t blocks = 1;
  HOPPER("mov.u32 %0, %%cluster_nctarank;" : "=r"(blocks));
  return static_cast<int>(blocks);
}
// The barrier of all threads of the cluster that have not ended, in two halves; whole warps. What came before somebody's
// arrival is seen after the wait.
__device__ __forceinline__ void cluster_arrive() { HOPPER("barrier.cluster.arrive.release.aligned;" ::: "memory"); }
__device__ __forceinline__ void cluster_wait() { HOPPER("barrier.cluster.wait.acquire.aligned;" ::: "memory"); }

// Where block `rank` has what this one has at `shared`.
template <class T>
__device__ __forceinline__ T* cluster_map(T* shared, int rank) {
  uint64_t there = 0;
  HOPPER("mapa.u64 %0, %1, %2;" : "=l"(there) : "l"(shared), "r"(rank));
  return reinterpret_cast<T*>(there);
}
// Arrives at the barrier that block `rank` has there. Who waits for threads of other blocks does it by
// mbarrier_wait_cluster.
__device__ __forceinline__ void mbarrier_arrive_at(uint64_t* barrier, int rank) {
  HOPPER("{ .reg .b32 there; mapa.shared::cluster.u32 there, %0, %1; mbarrier.arrive.release.cluster.shared::cluster.b64 _, [there]; }" ::"r"(
             shared_address(barrier)),
         "r"(rank)
         : "memory");
}
__device__ __forceinline__ void mbarrier_wait_cluster(uint64_t* barrier, int parity) {
  uint32_t ended = 0;
  do {
    HOPPER("{ .reg .pred p; mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
           : "=r"(ended)
           : "r"(shared_address(barrier)), "r"(parity)
           : "memory");
  } while (ended == 0);
}

// What this thread wrote to shared memory becomes visible to copies and to wgmma, which read past its caches.
__device__ __forceinline__ void fence_proxy_async() { HOPPER("fence.proxy.async.shared::cta;" ::: "memory"); }

// Bulk copies -------------------------------------------------------------------------------------
// One thread issues; the bytes are announced to the barrier by mbarrier_arrive_expect. Addresses and size: 16 bytes.
__device__ __forceinline__ void bulk_load(void* shared, const void* global, int bytes, uint64_t* barrier) {
  HOPPER("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(shared_address(shared)), "l"(global), "r"(bytes),
         "r"(shared_address(barrier))
         : "memory");
}
__device__ __forceinline__ void tma_prefetch(const TensorMap* map) { HOPPER("prefetch.tensormap [%0];" ::"l"(map) : "memory"); }

// The map's box whose first element is (x, y[, z[, w]]), innermost first; zeros outside of the tensor. The tile is 128-byte
// aligned, 1024 with the 128-byte swizzle.
__device__ __forceinline__ void tma_load_2d(void* shared, const TensorMap* map, uint64_t* barrier, int x, int y) {
  HOPPER("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" ::"r"(shared_address(shared)), "l"(map),
         "r"(shared_address(barrier)), "r"(x), "r"(y)
         : "memory");
}
// To the same place in each block of the cluster whose bit is set in `mask`; the bytes come on the barrier that each has at
// the same place as this one.
__device__ __forceinline__ void tma_load_2d_multicast(void* shared, const TensorMap* map, uint64_t* barrier, int x, int y, int mask) {
  HOPPER("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%3, %4}], [%2], %5;" ::"r"(
             shared_address(shared)),
         "l"(map), "r"(shared_address(barrier)), "r"(x), "r"(y), "h"(static_cast<uint16_t>(mask))
         : "memory");
}
__device__ __forceinline__ void tma_load_3d(void* shared, const TensorMap* map, uint64_t* barrier, int x, int y, int z) {
  HOPPER("cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];" ::"r"(shared_address(shared)), "l"(map),
         "r"(shared_address(barrier)), "r"(x), "r"(y), "r"(z)
         : "memory");
}
__device__ __forceinline__ void tma_load_4d(void* shared, const TensorMap* map, uint64_t* barrier, int x, int y, int z, int w) {
  HOPPER("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(shared_address(shared)),
         "l"(map), "r"(shared_address(barrier)), "r"(x), "r"(y), "r"(z), "r"(w)
         : "memory");
}
// Out of shared memory; what lies outside of the tensor is not written. Before: fence_proxy_async by the writers, then
// a barrier, then one thread. Its tma_store_wait_read says when the tile may be written again.
__device__ __forceinline__ void tma_store_2d(const TensorMap* map, const void* shared, int x, int y) {
  HOPPER("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%2, %3}], [%1];" ::"l"(map), "r"(shared_address(shared)), "r"(x), "r"(y) : "memory");
}
__device__ __forceinline__ void tma_store_3d(const TensorMap* map, const void* shared, int x, int y, int z) {
  HOPPER("cp.async.bulk.tensor.3d.global.shared::cta.bulk_group [%0, {%2, %3, %4}], [%1];" ::"l"(map), "r"(shared_address(shared)), "r"(x), "r"(y), "r"(z)
         : "memory");
}
__device__ __forceinline__ void tma_store_4d(const TensorMap* map, const void* shared, int x, int y, int z, int w) {
  HOPPER("cp.async.bulk.tensor.4d.global.shared::cta.bulk_group [%0, {%2, %3, %4, %5}], [%1];" ::"l"(map), "r"(shared_address(shared)), "r"(x), "r"(y),
         "r"(z), "r"(w)
         : "memory");
}
__device__ __forceinline__ void tma_store_commit() { HOPPER("cp.async.bulk.commit_group;" ::: "memory"); }
template <int kGroups>
__device__ __forceinline__ void tma_store_wait_read() {
  HOPPER("cp.async.bulk.wait_group.read %0;" ::"n"(kGroups) : "memory");
}
template <int kGroups>
__device__ __forceinline__ void tma_store_wait() {
  HOPPER("cp.async.bulk.wait_group %0;" ::"n"(kGroups) : "memory");
}

// Stores 8x8 matrices of 16-bit elements to shared memory: the reverse of ldmatrix.
#define STMATRIX(count, suffix, trans, registers, ...) \
  __device__ __forceinline__ void stmatrix_x##count##suffix(void* row, const uint32_t (&r)[count]) { \
    HOPPER("stmatrix.sync.aligned.m8n8.x" #count trans ".shared.b16 [%0], " registers ";" ::"r"(shared_address(row)), __VA_ARGS__ : "memory"); \
  }
STMATRIX(1, , "", "{%1}", "r"(r[0]))
STMATRIX(2, , "", "{%1,%2}", "r"(r[0]), "r"(r[1]))
STMATRIX(4, , "", "{%1,%2,%3,%4}", "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3]))
STMATRIX(1, _trans, ".trans", "{%1}", "r"(r[0]))
STMATRIX(2, _trans, ".trans", "{%1,%2}", "r"(r[0]), "r"(r[1]))
STMATRIX(4, _trans, ".trans", "{%1,%2,%3,%4}", "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3]))
#undef STMATRIX

// Warpgroups --------------------------------------------------------------------------------------
// Registers per thread: a multiple of 8, 24 to 256. All warps of the warpgroup.
template <int kRegisters>
__device__ __forceinline__ void registers_increase() {
  HOPPER("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void registers_decrease() {
  HOPPER("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

// True in one lane of the (whole) warp, the same each time.
__device__ __forceinline__ bool elect_one() {
  uint32_t elected = 0;
  HOPPER("{ .reg .pred p; elect.sync _|p, 0xffffffff; selp.u32 %0, 1, 0, p; }" : "=r"(elected));
  return elected != 0;
}

// Programmatic dependent launch: waits for the kernel before; lets the next one begin.
__device__ __forceinline__ void grid_dependency_wait() { HOPPER("griddepcontrol.wait;" ::: "memory"); }
__device__ __forceinline__ void grid_dependency_launch() { HOPPER("griddepcontrol.launch_dependents;" ::: "memory"); }

// wgmma -------------------------------------------------------------------------------------------
// Order: wgmma_fence, products, wgmma_commit, wgmma_wait; between the first product and the wait nothing touches the
// accumulators, or ptxas serialises everything (C7511, which fails the build).
__device__ __forceinline__ void wgmma_fence() { HOPPER("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit() { HOPPER("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int kGroups>
__device__ __forceinline__ void wgmma_wait() {
  HOPPER("wgmma.wait_group.sync.aligned %0;" ::"n"(kGroups) : "memory");
}

__device__ __forceinline__ uint64_t shared_offset(const void* p) { return shared_address(p); }

template <class T>
constexpr bool kIsHalf = false;
template <>
constexpr bool kIsHalf<__half> = true;

template <int N>
struct WgmmaShape;

// One shape. Its accumulators are the operands %0 … %(N/2 - 1); the numbers of those after them follow N.
#define WGMMA_SHAPE(N, i0, i1, i2, i3, i4, i5, i6) \
  template <> \
  struct WgmmaShape<N> { \
    template <class T, int kTransA, int kTransB> \
    static __device__ __forceinline__ void run(float (&d)[N / 2], uint64_t a, uint64_t b, int accumulate) { \
      if constexpr (kIsHalf<T>) { \
        WGMMA_SHARED(N, "f16", i0, i1, i2, i3, i4); \
      } else { \
        WGMMA_SHARED(N, "bf16", i0, i1, i2, i3, i4); \
      } \
    } \
    template <class T, int kTransB> \
    static __device__ __forceinline__ void run(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, int accumulate) { \
      if constexpr (kIsHalf<T>) { \
        WGMMA_REGISTERS(N, "f16", i0, i1, i2, i3, i4, i5, i6); \
      } else { \
        WGMMA_REGISTERS(N, "bf16", i0, i1, i2, i3, i4, i5, i6); \
      } \
    } \
  };
#define WGMMA_SHARED(N, type, a_, b_, accumulate_, ta, tb) \
  HOPPER("{ .reg .pred p; setp.ne.b32 p, %" #accumulate_ ", 0; wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." type "." type " {" WGMMA_R##N \
         "}, %" #a_ ", %" #b_ ", p, 1, 1, %" #ta ", %" #tb "; }" \
         : WGMMA_D##N \
         : "l"(a), "l"(b), "r"(accumulate), "n"(kTransA), "n"(kTransB))
#define WGMMA_REGISTERS(N, type, a0, a1, a2, a3, b_, accumulate_, tb) \
  HOPPER("{ .reg .pred p; setp.ne.b32 p, %" #accumulate_ ", 0; wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." type "." type " {" WGMMA_R##N \
         "}, {%" #a0 ",%" #a1 ",%" #a2 ",%" #a3 "}, %" #b_ ", p, 1, 1, %" #tb "; }" \
         : WGMMA_D##N \
         : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate), "n"(kTransB))

// The operands of each shape are those of the one before and four more.
#define WGMMA_FOUR(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define WGMMA_D8 WGMMA_FOUR(0)
#define WGMMA_D16 WGMMA_D8, WGMMA_FOUR(4)
#define WGMMA_D24 WGMMA_D16, WGMMA_FOUR(8)
#define WGMMA_D32 WGMMA_D24, WGMMA_FOUR(12)
#define WGMMA_D40 WGMMA_D32, WGMMA_FOUR(16)
#define WGMMA_D48 WGMMA_D40, WGMMA_FOUR(20)
#define WGMMA_D56 WGMMA_D48, WGMMA_FOUR(24)
#define WGMMA_D64 WGMMA_D56, WGMMA_FOUR(28)
#define WGMMA_D72 WGMMA_D64, WGMMA_FOUR(32)
#define WGMMA_D80 WGMMA_D72, WGMMA_FOUR(36)
#define WGMMA_D88 WGMMA_D80, WGMMA_FOUR(40)
#define WGMMA_D96 WGMMA_D88, WGMMA_FOUR(44)
#define WGMMA_D104 WGMMA_D96, WGMMA_FOUR(48)
#define WGMMA_D112 WGMMA_D104, WGMMA_FOUR(52)
#define WGMMA_D120 WGMMA_D112, WGMMA_FOUR(56)
#define WGMMA_D128 WGMMA_D120, WGMMA_FOUR(60)
#define WGMMA_D136 WGMMA_D128, WGMMA_FOUR(64)
#define WGMMA_D144 WGMMA_D136, WGMMA_FOUR(68)
#define WGMMA_D152 WGMMA_D144, WGMMA_FOUR(72)
#define WGMMA_D160 WGMMA_D152, WGMMA_FOUR(76)
#define WGMMA_D168 WGMMA_D160, WGMMA_FOUR(80)
#define WGMMA_D176 WGMMA_D168, WGMMA_FOUR(84)
#define WGMMA_D184 WGMMA_D176, WGMMA_FOUR(88)
#define WGMMA_D192 WGMMA_D184, WGMMA_FOUR(92)
#define WGMMA_D200 WGMMA_D192, WGMMA_FOUR(96)
#define WGMMA_D208 WGMMA_D200, WGMMA_FOUR(100)
#define WGMMA_D216 WGMMA_D208, WGMMA_FOUR(104)
#define WGMMA_D224 WGMMA_D216, WGMMA_FOUR(108)
#define WGMMA_D232 WGMMA_D224, WGMMA_FOUR(112)
#define WGMMA_D240 WGMMA_D232, WGMMA_FOUR(116)
#define WGMMA_D248 WGMMA_D240, WGMMA_FOUR(120)
#define WGMMA_D256 WGMMA_D248, WGMMA_FOUR(124)
#define WGMMA_R8 "%0,%1,%2,%3"
#define WGMMA_R16 WGMMA_R8 ",%4,%5,%6,%7"
#define WGMMA_R24 WGMMA_R16 ",%8,%9,%10,%11"
#define WGMMA_R32 WGMMA_R24 ",%12,%13,%14,%15"
#define WGMMA_R40 WGMMA_R32 ",%16,%17,%18,%19"
#define WGMMA_R48 WGMMA_R40 ",%20,%21,%22,%23"
#define WGMMA_R56 WGMMA_R48 ",%24,%25,%26,%27"
#define WGMMA_R64 WGMMA_R56 ",%28,%29,%30,%31"
#define WGMMA_R72 WGMMA_R64 ",%32,%33,%34,%35"
#define WGMMA_R80 WGMMA_R72 ",%36,%37,%38,%39"
#define WGMMA_R88 WGMMA_R80 ",%40,%41,%42,%43"
#define WGMMA_R96 WGMMA_R88 ",%44,%45,%46,%47"
#define WGMMA_R104 WGMMA_R96 ",%48,%49,%50,%51"
#define WGMMA_R112 WGMMA_R104 ",%52,%53,%54,%55"
#define WGMMA_R120 WGMMA_R112 ",%56,%57,%58,%59"
#define WGMMA_R128 WGMMA_R120 ",%60,%61,%62,%63"
#define WGMMA_R136 WGMMA_R128 ",%64,%65,%66,%67"
#define WGMMA_R144 WGMMA_R136 ",%68,%69,%70,%71"
#define WGMMA_R152 WGMMA_R144 ",%72,%73,%74,%75"
#define WGMMA_R160 WGMMA_R152 ",%76,%77,%78,%79"
#define WGMMA_R168 WGMMA_R160 ",%80,%81,%82,%83"
#define WGMMA_R176 WGMMA_R168 ",%84,%85,%86,%87"
#define WGMMA_R184 WGMMA_R176 ",%88,%89,%90,%91"
#define WGMMA_R192 WGMMA_R184 ",%92,%93,%94,%95"
#define WGMMA_R200 WGMMA_R192 ",%96,%97,%98,%99"
#define WGMMA_R208 WGMMA_R200 ",%100,%101,%102,%103"
#define WGMMA_R216 WGMMA_R208 ",%104,%105,%106,%107"
#define WGMMA_R224 WGMMA_R216 ",%108,%109,%110,%111"
#define WGMMA_R232 WGMMA_R224 ",%112,%113,%114,%115"
#define WGMMA_R240 WGMMA_R232 ",%116,%117,%118,%119"
#define WGMMA_R248 WGMMA_R240 ",%120,%121,%122,%123"
#define WGMMA_R256 WGMMA_R248 ",%124,%125,%126,%127"
WGMMA_SHAPE(8, 4, 5, 6, 7, 8, 9, 10)
WGMMA_SHAPE(16, 8, 9, 10, 11, 12, 13, 14)
WGMMA_SHAPE(24, 12, 13, 14, 15, 16, 17, 18)
WGMMA_SHAPE(32, 16, 17, 18, 19, 20, 21, 22)
WGMMA_SHAPE(40, 20, 21, 22, 23, 24, 25, 26)
WGMMA_SHAPE(48, 24, 25, 26, 27, 28, 29, 30)
WGMMA_SHAPE(56, 28, 29, 30, 31, 32, 33, 34)
WGMMA_SHAPE(64, 32, 33, 34, 35, 36, 37, 38)
WGMMA_SHAPE(72, 36, 37, 38, 39, 40, 41, 42)
WGMMA_SHAPE(80, 40, 41, 42, 43, 44, 45, 46)
WGMMA_SHAPE(88, 44, 45, 46, 47, 48, 49, 50)
WGMMA_SHAPE(96, 48, 49, 50, 51, 52, 53, 54)
WGMMA_SHAPE(104, 52, 53, 54, 55, 56, 57, 58)
WGMMA_SHAPE(112, 56, 57, 58, 59, 60, 61, 62)
WGMMA_SHAPE(120, 60, 61, 62, 63, 64, 65, 66)
WGMMA_SHAPE(128, 64, 65, 66, 67, 68, 69, 70)
WGMMA_SHAPE(136, 68, 69, 70, 71, 72, 73, 74)
WGMMA_SHAPE(144, 72, 73, 74, 75, 76, 77, 78)
WGMMA_SHAPE(152, 76, 77, 78, 79, 80, 81, 82)
WGMMA_SHAPE(160, 80, 81, 82, 83, 84, 85, 86)
WGMMA_SHAPE(168, 84, 85, 86, 87, 88, 89, 90)
WGMMA_SHAPE(176, 88, 89, 90, 91, 92, 93, 94)
WGMMA_SHAPE(184, 92, 93, 94, 95, 96, 97, 98)
WGMMA_SHAPE(192, 96, 97, 98, 99, 100, 101, 102)
WGMMA_SHAPE(200, 100, 101, 102, 103, 104, 105, 106)
WGMMA_SHAPE(208, 104, 105, 106, 107, 108, 109, 110)
WGMMA_SHAPE(216, 108, 109, 110, 111, 112, 113, 114)
WGMMA_SHAPE(224, 112, 113, 114, 115, 116, 117, 118)
WGMMA_SHAPE(232, 116, 117, 118, 119, 120, 121, 122)
WGMMA_SHAPE(240, 120, 121, 122, 123, 124, 125, 126)
WGMMA_SHAPE(248, 124, 125, 126, 127, 128, 129, 130)
WGMMA_SHAPE(256, 128, 129, 130, 131, 132, 133, 134)

// d[64,N] = a[64,16]·b[16,N] (+ d), both operands in shared memory. Warp w of the warpgroup and lane l hold, with
// g = l/4, t = l%4, in d[4j + r] the element of row 16w + g + 8·(r/2), column 8j + 2t + r%2.
// kTransposedA: a is stored with its rows m running fastest; kTransposedB: b with its columns n running fastest.
template <int N, class T, bool kTransposedA = false, bool kTransposedB = false>
__device__ __forceinline__ void wgmma_m64k16(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate = true) {
  WgmmaShape<N>::template run<T, kTransposedA, kTransposedB>(d, a, b, accumulate);
}
// a in registers: of the warp's 16 rows, as mma_m16n8k16 has it.
template <int N, class T, bool kTransposedB = false>
__device__ __forceinline__ void wgmma_m64k16(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate = true) {
  WgmmaShape<N>::template run<T, kTransposedB>(d, a, b, accumulate);
}
#else
#include "device/hopper.h"
#endif

__device__ __forceinline__ void cluster_barrier() {
  cluster_arrive();
  cluster_wait();
}

// Matrix descriptors, 128-byte swizzle. The tile is 1024-byte aligned and laid out as a tensor map with that swizzle
// and a box of 64 elements by any number of rows puts it there.
__device__ __forceinline__ uint64_t wgmma_descriptor(const void* tile, int leading_bytes, int stride_bytes) {
  return (shared_offset(tile) & 0x3ffff) >> 4 | static_cast<uint64_t>(leading_bytes >> 4) << 16 | static_cast<uint64_t>(stride_bytes >> 4) << 32 | uint64_t{1} << 62;
}
// Box rows are m (or n), 64 k each: "K-major". Next 16 of k: wgmma_advance(d, 32).
__device__ __forceinline__ uint64_t wgmma_descriptor(const void* tile) { return wgmma_descriptor(tile, 16, 1024); }
// Box rows are k, 64 of m (or n) each: "MN-major". Boxes for more than 64 lie box_bytes apart. Next 16 of k:
// wgmma_advance(d, 2048).
__device__ __forceinline__ uint64_t wgmma_descriptor_transposed(const void* tile, int box_bytes) { return wgmma_descriptor(tile, box_bytes, 1024); }
__device__ __forceinline__ uint64_t wgmma_advance(uint64_t descriptor, int bytes) { return descriptor + static_cast<uint64_t>(bytes >> 4); }
