// common.cuh: the header that kernels include. Under nvcc it is CUDA plus named functions around inline PTX; under any
// other compiler it is the emulated device, where each of these names does the same thing on the host
// (native/src/main/cpp/emulator/device). What Hopper added stands in hopper.cuh.
//
//   KERNEL(name, (parameters), threads[, blocks]) { … }   a kernel that Java finds by its name, with its launch bounds
//   DYNAMIC_SHARED(T, name);                              the block's dynamic shared memory, 1024-byte aligned
//
// Rules that keep a kernel runnable on both: no asm outside of these headers; pointers, never 32-bit shared addresses;
// fp32 arithmetic on half types; shared variables of trivial types; no block waits for another block. A kernel that
// uses wgmma or TMA keeps their operands in dynamic shared memory.
#pragma once
#include <stdint.h>

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#define KERNEL(name, parameters, ...) extern "C" __global__ void __launch_bounds__(__VA_ARGS__) name parameters
#define DYNAMIC_SHARED(T, name) T* name = reinterpret_cast<T*>(dynamic_shared)
extern __shared__ __align__(1024) unsigned char dynamic_shared[];

// The 32-bit address that shared-memory instructions take.
__device__ __forceinline__ uint32_t shared_address(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }

// Tensor cores ------------------------------------------------------------------------------------
// d[16,8] += a[16,16]·b[16,8], row-major a, column-major b, fp32 accumulators. Lane l holds, with g = l/4, t = l%4:
//   a[r]: row g + 8·(r%2), columns 2t + 8·(r/2) and the next      b[r]: rows 2t + 8·r and the next, column g
//   d[r]: row g + 8·(r/2), column 2t + r%2
template <class T>
__device__ __forceinline__ void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
#define MMA_M16N8K16(T, type)                                                                                             \
  template <>                                                                                                             \
  __device__ __forceinline__ void mma_m16n8k16<T>(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {        \
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." type "." type ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};" \
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                                                         \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                                     \
  }
MMA_M16N8K16(__nv_bfloat16, "bf16")
MMA_M16N8K16(__half, "f16")
#undef MMA_M16N8K16

// The same with k = 8 and tf32 operands: a[r]: row g + 8·(r%2), column t + 4·(r/2); b[r]: row t + 4·r, column g.
__device__ __forceinline__ void mma_m16n8k8_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// To nearest, ties away from zero.
__device__ __forceinline__ uint32_t to_tf32(float x) {
  uint32_t r;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(x));
  return r;
}

// Loads 8x8 matrices of 16-bit elements from shared memory: lanes 8q … 8q+7 give the 16-byte rows of matrix q; r[q]
// receives row l/4, columns 2·(l%4) and the next, of matrix q, or of its transpose.
#define LDMATRIX_OUT_1(r) "=r"(r[0])
#define LDMATRIX_OUT_2(r) "=r"(r[0]), "=r"(r[1])
#define LDMATRIX_OUT_4(r) "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
#define LDMATRIX(count, suffix, trans, registers, address)                                     \
  __device__ __forceinline__ void ldmatrix_x##count##suffix(uint32_t (&r)[count], const void* row) { \
    asm volatile("ldmatrix.sync.aligned.m8n8.x" #count trans ".shared.b16 " registers ", [" address "];" \
                 : LDMATRIX_OUT_##count(r)                                                     \
                 : "r"(shared_address(row))                                                    \
                 : "memory");                                                                  \
  }
LDMATRIX(1, , "", "{%0}", "%1")
LDMATRIX(2, , "", "{%0,%1}", "%2")
LDMATRIX(4, , "", "{%0,%1,%2,%3}", "%4")
LDMATRIX(1, _trans, ".trans", "{%0}", "%1")
LDMATRIX(2, _trans, ".trans", "{%0,%1}", "%2")
LDMATRIX(4, _trans, ".trans", "{%0,%1,%2,%3}", "%4")
#undef LDMATRIX
#undef LDMATRIX_OUT_1
#undef LDMATRIX_OUT_2
#undef LDMATRIX_OUT_4

// Asynchronous copies -----------------------------------------------------------------------------
// Global to shared memory, 4, 8 or 16 bytes, both addresses aligned to as many. `filled` < kBytes: the rest is zeros,
// and nothing beyond is read (0 reads nothing: a guard for ragged edges). Data is there for the thread itself after
// its cp_async_wait, for others after a barrier on top.
template <int kBytes>
__device__ __forceinline__ void cp_async(void* shared, const void* global) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
  if constexpr (kBytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(shared)), "l"(global) : "memory");  // past L1
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(shared_address(shared)), "l"(global), "n"(kBytes) : "memory");
  }
}
template <int kBytes>
__device__ __forceinline__ void cp_async(void* shared, const void* global, int filled) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
  if constexpr (kBytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(filled) : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(shared)), "l"(global), "n"(kBytes), "r"(filled) : "memory");
  }
}
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until at most kGroups of the latest groups are under way.
template <int kGroups>
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kGroups) : "memory");
}

// Barriers of some warps of a block, numbers 1 to 15 (0 is __syncthreads), threads a multiple of 32.
__device__ __forceinline__ void named_barrier_sync(int number, int threads) { asm volatile("bar.sync %0, %1;" ::"r"(number), "r"(threads) : "memory"); }
__device__ __forceinline__ void named_barrier_arrive(int number, int threads) { asm volatile("bar.arrive %0, %1;" ::"r"(number), "r"(threads) : "memory"); }

// Reductions over a whole warp; every lane has the result, in the same bits on both devices.
#define WARP_REDUCE(name, expression)                 \
  __device__ __forceinline__ float name(float v) {    \
    _Pragma("unroll") for (int step = 16; step != 0; step /= 2) { \
      float other = __shfl_xor_sync(0xffffffffu, v, step); \
      v = expression;                                 \
    }                                                 \
    return v;                                         \
  }
WARP_REDUCE(warp_sum, v + other)
WARP_REDUCE(warp_max, fmaxf(v, other))
WARP_REDUCE(warp_min, fminf(v, other))
#undef WARP_REDUCE

// To global memory in one instruction; a struct that is copied may leave the compiler as four.
__device__ __forceinline__ void store_word(uint32_t* p, uint32_t w) { asm volatile("st.global.b32 [%0], %1;" ::"l"(p), "r"(w) : "memory"); }
__device__ __forceinline__ void store_word(uint2* p, uint2 w) { asm volatile("st.global.v2.b32 [%0], {%1,%2};" ::"l"(p), "r"(w.x), "r"(w.y) : "memory"); }
__device__ __forceinline__ void store_word(uint4* p, uint4 w) {
  asm volatile("st.global.v4.b32 [%0], {%1,%2,%3,%4};" ::"l"(p), "r"(w.x), "r"(w.y), "r"(w.z), "r"(w.w) : "memory");
}

// One instruction each; relative error about 2^-22 (exp2, denormals flushed), 2^-23 (reciprocal, likewise), 2^-11 (tanh).
__device__ __forceinline__ float exp2_approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ float reciprocal_approx(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ float tanh_approx(float x) {
  float y;
  asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
#else
#include "device/device.h"
#endif

using bf16 = __nv_bfloat16;
using f16 = __half;

// Storage types -----------------------------------------------------------------------------------
// A value as the fp32 it is computed in, and back (to nearest, ties to even).
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

// N neighbours that move in one instruction of 4, 8 or 16 bytes; the address is aligned to as many.
template <class T, int N>
struct alignas(sizeof(T) * N) Vec {
  static constexpr int kLength = N;
  T v[N];
  __device__ __forceinline__ T& operator[](int i) { return v[i]; }
  __device__ __forceinline__ const T& operator[](int i) const { return v[i]; }
};

// As many as fill 16 bytes: the widest load there is.
template <class T>
constexpr int kVecLength = 16 / static_cast<int>(sizeof(T));
template <class T>
using Vec16 = Vec<T, kVecLength<T>>;

template <int kBytes>
struct Word;
template <>
struct Word<4> {
  using Type = unsigned int;
};
template <>
struct Word<8> {
  using Type = uint2;
};
template <>
struct Word<16> {
  using Type = uint4;
};

template <int N, class T>
__device__ __forceinline__ Vec<T, N> load_vec(const T* p) {
  auto word = *reinterpret_cast<const typename Word<sizeof(T) * N>::Type*>(p);
  return *reinterpret_cast<Vec<T, N>*>(&word);
}
template <int N, class T>
__device__ __forceinline__ void store_vec(T* p, const Vec<T, N>& v) {
  using W = typename Word<sizeof(T) * N>::Type;
  *reinterpret_cast<W*>(p) = *reinterpret_cast<const W*>(&v);
}
template <int N, class T>
__device__ __forceinline__ void store_vec_global(T* p, const Vec<T, N>& v) {
  using W = typename Word<sizeof(T) * N>::Type;
  store_word(reinterpret_cast<W*>(p), *reinterpret_cast<const W*>(&v));
}
// For data that is touched once: it leaves the cache first.
template <int N, class T>
__device__ __forceinline__ Vec<T, N> load_vec_streaming(const T* p) {
  auto word = __ldcs(reinterpret_cast<const typename Word<sizeof(T) * N>::Type*>(p));
  return *reinterpret_cast<Vec<T, N>*>(&word);
}
template <int N, class T>
__device__ __forceinline__ void store_vec_streaming(T* p, const Vec<T, N>& v) {
  using W = typename Word<sizeof(T) * N>::Type;
  __stcs(reinterpret_cast<W*>(p), *reinterpret_cast<const W*>(&v));
}

__device__ __forceinline__ bool is_aligned(const void* p, int bytes) { return reinterpret_cast<uintptr_t>(p) % bytes == 0; }

// Two floats as neighbours in a 32-bit register, the first in its lower half.
template <class T>
__device__ __forceinline__ uint32_t pack(float low, float high);
template <>
__device__ __forceinline__ uint32_t pack<bf16>(float low, float high) {
  auto h = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<uint32_t*>(&h);
}
template <>
__device__ __forceinline__ uint32_t pack<f16>(float low, float high) {
  auto h = __floats2half2_rn(low, high);
  return *reinterpret_cast<uint32_t*>(&h);
}
// The neighbour at an odd or even place of its 32-bit word.
template <class T>
__device__ __forceinline__ float unpack(uint32_t word, bool odd);
template <>
__device__ __forceinline__ float unpack<float>(uint32_t word, bool) {
  return __uint_as_float(word);
}
template <>
__device__ __forceinline__ float unpack<bf16>(uint32_t word, bool odd) {
  return __uint_as_float(odd ? word & 0xffff0000u : word << 16);
}
template <>
__device__ __forceinline__ float unpack<f16>(uint32_t word, bool odd) {
  return __half2float(reinterpret_cast<const f16*>(&word)[odd]);
}

// Threads -----------------------------------------------------------------------------------------
__device__ __forceinline__ int lane_index() { return static_cast<int>(threadIdx.x & 31); }
__device__ __forceinline__ int warp_index() { return static_cast<int>(threadIdx.x >> 5); }

// Over the kThreads threads of a one-dimensional block, in a fixed order; every thread has the result.
#define BLOCK_REDUCE(name, warp_reduce, neutral)              \
  template <int kThreads>                                     \
  __device__ __forceinline__ float name(float v) {            \
    static_assert(kThreads % 32 == 0 && kThreads <= 1024);    \
    __shared__ float partial[kThreads / 32];                  \
    v = warp_reduce(v);                                       \
    if (lane_index() == 0) partial[warp_index()] = v;         \
    __syncthreads();                                          \
    v = lane_index() < kThreads / 32 ? partial[lane_index()] : neutral; \
    v = warp_reduce(v);                                       \
    __syncthreads(); /* partial may be written again */       \
    return v;                                                 \
  }
BLOCK_REDUCE(block_sum, warp_sum, 0.0f)
BLOCK_REDUCE(block_max, warp_max, -INFINITY)
#undef BLOCK_REDUCE
