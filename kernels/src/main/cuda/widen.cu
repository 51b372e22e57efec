// widen.cu — rows of a quantised matrix to a float type, as dev.javelin.kernels.Quantization lays them out
//   int8  w = scale[row] · code                     nf4  w = largest[i / 64] · level[code],  largest = offset + scale · code8
//   Dettmers et al. 2023, QLoRA, arXiv:2305.14314
// Tiling: a thread has 8 elements, one after another: it reads 8 or 4 bytes of codes and a scale, and writes 16 bytes and more.
// Traffic (n elements of s bytes): n (int8) or 0.516·n (nf4) read, n·s written.
// Measured: not yet.
#include "row.cuh"

constexpr int kUnit = 8;

// The values of NF4 by their codes, where all threads find them.
__device__ const float kLevels[16] = {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
                                      0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

// first, end: elements of the whole matrix; y begins with the first one.
template <class T, bool kNf4>
__device__ __forceinline__ void widen(T* y, const uint8_t* bytes, int64_t first, int64_t end, int64_t in, int64_t scales_at, int64_t largest_at, int64_t offset_at) {
  int64_t at = first + (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * kUnit;
  const float* scales = reinterpret_cast<const float*>(bytes + scales_at);
#pragma unroll
  for (int e = 0; e < kUnit; e++) {
    int64_t i = at + e;
    if (i >= end) return;
    float w;
    if constexpr (kNf4) {
      int64_t block = i / 64;
      float largest = fmaf(scales[block / 256], static_cast<float>(static_cast<int8_t>(bytes[largest_at + block])), *reinterpret_cast<const float*>(bytes + offset_at));
      int two = bytes[i / 2];
      w = largest * kLevels[i % 2 == 0 ? two >> 4 : two & 15];
    } else {
      w = scales[i / in] * static_cast<float>(static_cast<int8_t>(bytes[i]));
    }
    y[i - first] = from_float<T>(w);
  }
}

#define INSTANCE(T, suffix)                                                                                                                   \
  KERNEL(widen_int8_##suffix, (T * y, const uint8_t* bytes, int64_t first, int64_t end, int64_t in, int64_t scales_at, int64_t largest_at, int64_t offset_at), 256) { \
    widen<T, false>(y, bytes, first, end, in, scales_at, largest_at, offset_at);                                                              \
  }                                                                                                                                           \
  KERNEL(widen_nf4_##suffix, (T * y, const uint8_t* bytes, int64_t first, int64_t end, int64_t in, int64_t scales_at, int64_t largest_at, int64_t offset_at), 256) { \
    widen<T, true>(y, bytes, first, end, in, scales_at, largest_at, offset_at);                                                               \
  }
INSTANCE(float, f32)
INSTANCE(bf16, bf16)
INSTANCE(f16, f16)
