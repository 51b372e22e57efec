// cluster.h: blocks of compute capability 9.0 that run together and reach each other's shared memory.
#pragma once
#include <cstdint>

#pragma GCC visibility push(default)
namespace emulator {

uint32_t clusterRank();    // of the block in its cluster
uint32_t clusterBlocks();  // 1: the launch has no clusters
void clusterArrive();      // at the cluster's barrier
void clusterWait();
void* clusterMap(const void* shared, uint32_t rank, const char* instruction);  // the same place in that block's shared memory

// Kernels whose source fixes the number of blocks of a cluster, along x.
struct ClusterSize {
  const char* kernel;
  uint32_t blocks;
  ClusterSize* next;
};
void registerClusterSize(ClusterSize* size);

}  // namespace emulator
#pragma GCC visibility pop
