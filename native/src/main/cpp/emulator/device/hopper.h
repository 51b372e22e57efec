// hopper.h: the wrappers of hopper.cuh: mbarrier, bulk copies, tensor maps, wgmma.
#pragma once
#include <cstdint>

#include "../bulk_copy.h"
#include "../cluster.h"
#include "../mbarrier.h"
#include "../wgmma.h"
#include "half.h"
#include "warp.h"

struct alignas(64) TensorMap {
  uint64_t opaque[16];
};

namespace emulator {
struct ClusterRegistration {
  ClusterRegistration(const char* kernel, uint32_t blocks) : size{kernel, blocks, nullptr} { registerClusterSize(&size); }
  ClusterSize size;
};
}  // namespace emulator

#define CLUSTER_KERNEL(blocks, name, parameters, ...)                               \
  static emulator::ClusterRegistration name##_cluster{#name, blocks}; \
  KERNEL(name, parameters, __VA_ARGS__)

inline void mbarrier_init(uint64_t* barrier, int arrivals) { emulator::mbarrierInit(barrier, static_cast<uint32_t>(arrivals)); }
inline void mbarrier_arrive(uint64_t* barrier) { emulator::mbarrierArrive(barrier); }
inline void mbarrier_arrive_expect(uint64_t* barrier, int bytes) { emulator::mbarrierExpect(barrier, static_cast<uint32_t>(bytes)); }
inline bool mbarrier_test(uint64_t* barrier, int parity) { return emulator::mbarrierTest(barrier, static_cast<uint32_t>(parity)); }
inline void mbarrier_wait(uint64_t* barrier, int parity) { emulator::mbarrierWait(barrier, static_cast<uint32_t>(parity)); }
inline void mbarrier_wait_cluster(uint64_t* barrier, int parity) { emulator::mbarrierWait(barrier, static_cast<uint32_t>(parity), true); }
inline void mbarrier_arrive_at(uint64_t* barrier, int rank) { emulator::mbarrierArriveAt(barrier, static_cast<uint32_t>(rank)); }
inline void fence_mbarrier_init() { emulator::fenceMbarrierInit(); }
inline void fence_proxy_async() { emulator::fenceProxyAsync(); }

inline void bulk_load(void* shared, const void* global, int bytes, uint64_t* barrier) { emulator::bulkLoad(shared, global, static_cast<uint32_t>(bytes), barrier); }
inline void tma_prefetch(const TensorMap*) { emulator::require(90, "prefetch.tensormap"); }
inline void tma_load_2d(void* shared, const TensorMap* map, uint64_t* barrier, int x, int y) {
  int at[] = {x, y};
  emulator::tmaLoad(shared, map, barrier, at, 2);
}
inline void tma_load_2d_multicast(void* shared, const TensorMap* map, uint64_t* barrier, int x, int y, int mask) {
  int at[] = {x, y};
  emulator::tmaLoadMulticast(shared, map, barrier, at, 2, static_cast<uint32_t>(mask));
}
inline void tma_load_3d(void* shared, const TensorMap* map, uint64_t* barrier, int x, int y, int z) {
  int at[] = {x, y, z};
  emulator::tmaLoad(shared, map, barrier, at, 3);
}
inline void tma_load_4d(void* shared, const TensorMap* map, uint64_t* barrier, int x, int y, int z, int w) {
  int at[] = {x, y, z, w};
  emulator::tmaLoad(shared, map, barrier, at, 4);
}
inline void tma_store_2d(const TensorMap* map, const void* shared, int x, int y) {
  int at[] = {x, y};
  emulator::tmaStore(map, shared, at, 2);
}
inline void tma_store_3d(const TensorMap* map, const void* shared, int x, int y, int z) {
  int at[] = {x, y, z};
  emulator::tmaStore(map, shared, at, 3);
}
inline void tma_store_4d(const TensorMap* map, const void* shared, int x, int y, int z, int w) {
  int at[] = {x, y, z, w};
  emulator::tmaStore(map, shared, at, 4);
}
inline void tma_store_commit() { emulator::storeCommit(); }
template <int kGroups>
inline void tma_store_wait_read() {
  emulator::storeWaitRead(kGroups);
}
template <int kGroups>
inline void tma_store_wait() {
  emulator::storeWait(kGroups);
}

inline int cluster_rank() { return static_cast<int>(emulator::clusterRank()); }
inline int cluster_blocks() { return static_cast<int>(emulator::clusterBlocks()); }
inline void cluster_arrive() { emulator::clusterArrive(); }
inline void cluster_wait() { emulator::clusterWait(); }
template <class T>
inline T* cluster_map(T* shared, int rank) {
  return static_cast<T*>(emulator::clusterMap(shared, static_cast<uint32_t>(rank), "mapa"));
}

inline void wgmma_fence() { emulator::wgmmaFence(); }
inline void wgmma_commit() { emulator::wgmmaCommit(); }
template <int kGroups>
inline void wgmma_wait() {
  emulator::wgmmaWait(kGroups);
}
inline uint64_t shared_offset(const void* p) { return emulator::sharedOffset(p); }

template <int N, class T, bool kTransposedA = false, bool kTransposedB = false>
inline void wgmma_m64k16(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate = true) {
  constexpr auto type = sizeof(T) == 2 && std::is_same_v<T, __half> ? emulator::MmaType::f16 : emulator::MmaType::bf16;
  emulator::wgmma({type, N, d, accumulate, a, b, nullptr, kTransposedA, kTransposedB});
}
template <int N, class T, bool kTransposedB = false>
inline void wgmma_m64k16(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate = true) {
  constexpr auto type = sizeof(T) == 2 && std::is_same_v<T, __half> ? emulator::MmaType::f16 : emulator::MmaType::bf16;
  emulator::wgmma({type, N, d, accumulate, 0, b, a, false, kTransposedB});
}

inline void stmatrix_x1(void* row, const uint32_t (&r)[1]) { emulator::storeMatrices(row, r, 1, false); }
inline void stmatrix_x2(void* row, const uint32_t (&r)[2]) { emulator::storeMatrices(row, r, 2, false); }
inline void stmatrix_x4(void* row, const uint32_t (&r)[4]) { emulator::storeMatrices(row, r, 4, false); }
inline void stmatrix_x1_trans(void* row, const uint32_t (&r)[1]) { emulator::storeMatrices(row, r, 1, true); }
inline void stmatrix_x2_trans(void* row, const uint32_t (&r)[2]) { emulator::storeMatrices(row, r, 2, true); }
inline void stmatrix_x4_trans(void* row, const uint32_t (&r)[4]) { emulator::storeMatrices(row, r, 4, true); }

template <int kRegisters>
inline void registers_increase() {
  static_assert(kRegisters % 8 == 0 && kRegisters >= 24 && kRegisters <= 256);
  emulator::setRegisters(kRegisters, true);
}
template <int kRegisters>
inline void registers_decrease() {
  static_assert(kRegisters % 8 == 0 && kRegisters >= 24 && kRegisters <= 256);
  emulator::setRegisters(kRegisters, false);
}
inline bool elect_one() {
  emulator::require(90, "elect.sync");
  return emulator::current->lane == 0;
}
inline void grid_dependency_wait() { emulator::require(90, "griddepcontrol.wait"); }
inline void grid_dependency_launch() { emulator::require(90, "griddepcontrol.launch_dependents"); }
