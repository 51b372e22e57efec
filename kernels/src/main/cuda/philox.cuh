// philox.cuh: Philox4x32-10, four random words as a function of a counter and a key; the words of kernels.cpu.Philox.
//   Salmon et al. 2011, doi:10.1145/2063384.2063405
#pragma once
#include "common.cuh"

constexpr int kWords = 4;  // of a block

__device__ __forceinline__ void philox(uint32_t (&c)[kWords], uint32_t key0, uint32_t key1) {
#pragma unroll
  for (int round = 0; round < 10; round++) {
    uint32_t high0 = __umulhi(0xD2511F53u, c[0]), low0 = 0xD2511F53u * c[0];
    uint32_t high1 = __umulhi(0xCD9E8D57u, c[2]), low1 = 0xCD9E8D57u * c[2];
    c[0] = high1 ^ c[1] ^ key0;
    c[1] = low1;
    c[2] = high0 ^ c[3] ^ key1;
    c[3] = low0;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
}
