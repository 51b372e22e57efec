// common.cuh: the one header that kernels include. Under nvcc it is CUDA plus named functions around inline PTX; under
// any other compiler it is the emulated device, where each of these names does the same thing on the host.
//
//   KERNEL(name, (parameters), threads[, blocks]) { … }   a kernel that Java finds by its name, with its launch bounds
//   DYNAMIC_SHARED(T, name);                              the block's dynamic shared memory, 1024-byte aligned
//
// Rules that keep a kernel runnable on both: no asm outside of this header; pointers, never 32-bit shared addresses;
// fp32 arithmetic on half types; shared variables of trivial types; no block waits for another block.
#pragma once
#include <stdint.h>

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#define KERNEL(name, parameters, ...) extern "C" __global__ void __launch_bounds__(__VA_ARGS__) name parameters
#define DYNAMIC_SHARED(T, name)                                \
  extern __shared__ __align__(1024) unsigned char dynamic_shared[]; \
  T* name = reinterpret_cast<T*>(dynamic_shared)
#else
#include "device/device.h"
#endif

using bf16 = __nv_bfloat16;
using f16 = __half;

// A value of a storage type, as the fp32 it is computed in, and back (to nearest, ties to even).
__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(bf16 x) { return __bfloat162float(x); }
__device__ __forceinline__ float to_float(f16 x) { return __half2float(x); }

template <class T>
__device__ __forceinline__ T from_float(float x);
template <>
__device__ __forceinline__ float from_float<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ bf16 from_float<bf16>(float x) {
  return __float2bfloat16_rn(x);
}
template <>
__device__ __forceinline__ f16 from_float<f16>(float x) {
  return __float2half_rn(x);
}
