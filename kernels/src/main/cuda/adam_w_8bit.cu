// adam_w_8bit.cu — AdamW with moments in eight bits: 128 neighbours share a scale, m in signed codes, r = sqrt(v) in unsigned ones
//   (float8.cuh). A block is decoded, updated as adam_w.cu does it, and encoded by its new largest element; the weights see
//   the moments before they are encoded. A second moment that is there never becomes 0.
//                                                             block-wise: Dettmers et al. 2021, arXiv:2110.02861
// Tiling: a warp per block, 4 elements a lane, grid-stride, one row of blocks per segment. Maxima are exact: the CPU's scales.
// Traffic: 20.1 bytes an element (reads w, grad, two codes, writes them), 2 more for a half copy; AdamW has 32.
// Measured: not yet.
#include "adam.cuh"
#include "float8.cuh"
#include "update.cuh"

constexpr int kBlock = 128;
constexpr int kWarps = kUpdateThreads / 32;
constexpr float kLeast = 0x1p-120f;  // a largest element below counts as 0

struct Moments {
  uint8_t* m;
  float* m_scales;
  uint8_t* r;
  float* r_scales;
};

// Writes a lane's four codes, and the block's scale.
template <bool kSigned>
__device__ __forceinline__ void encode(uint8_t* codes, float* scale, const float (&x)[4]) {
  constexpr float kTop = kSigned ? kSignedTop : kUnsignedTop;
  float largest = warp_max(fmaxf(fmaxf(fabsf(x[0]), fabsf(x[1])), fmaxf(fabsf(x[2]), fabsf(x[3]))));
  float inverse = largest < kLeast ? 0.0f : kTop / largest;
  uint32_t word = 0;
#pragma unroll
  for (int j = 0; j < 4; j++) {
    float y = fmaxf(-kTop, fminf(kTop, x[j] * inverse));
    uint32_t code = kSigned ? to_signed8(y) : to_unsigned8(y);
    if (!kSigned && y > 0 && code == 0) code = 1;
    word |= code << 8 * j;
  }
  *reinterpret_cast<uint32_t*>(codes) = word;
  if (lane_index() == 0) *scale = largest < kLeast ? 0.0f : largest / kTop;
}

template <class T>
__device__ __forceinline__ void update_blocks(const Buffers<T>& b, const Moments& moments, const AdamConstants* constants, const StepState* s,
                                              const Segments& segments) {
  int64_t end = segments.to[blockIdx.y] / kBlock, stride = int64_t{gridDim.x} * kWarps;
  AdamConstants c = constants[blockIdx.y];
  float scale = s->grad_scale;
  for (int64_t block = segments.from[blockIdx.y] / kBlock + int64_t{blockIdx.x} * kWarps + warp_index(); block < end; block += stride) {
    int64_t i = block * kBlock + 4 * lane_index();
    float g[4] = {};
    if (!s->overflow) {
      float w[4], m[4], r[4];
      load_weights(w, b, i);
      load_floats(g, b.grad + i);
      uint32_t m_codes = *reinterpret_cast<const uint32_t*>(moments.m + i), r_codes = *reinterpret_cast<const uint32_t*>(moments.r + i);
      float m_scale = moments.m_scales[block], r_scale = moments.r_scales[block];
      __syncwarp();  // the first lane writes the scales
#pragma unroll
      for (int j = 0; j < 4; j++) {
        m[j] = from_signed8(m_codes >> 8 * j & 0xff) * m_scale;
        r[j] = from_unsigned8(r_codes >> 8 * j & 0xff) * r_scale;
        g[j] *= scale;
        m[j] += (1.0f - c.beta1) * (g[j] - m[j]);
        float v = c.beta2 * (r[j] * r[j]) + (1.0f - c.beta2) * (g[j] * g[j]);
        w[j] = w[j] * c.decay - c.step(m[j], v);
        r[j] = sqrtf(v);
        g[j] = 0;
      }
      store_weights(b, i, w);
      encode<true>(moments.m + i, moments.m_scales + block, m);
      encode<false>(moments.r + i, moments.r_scales + block, r);
    }
    store_floats(b.grad + i, g);
  }
}

#define INSTANCE(T, suffix)                                                                                                               \
  KERNEL(adam_w_8bit_step_##suffix,                                                                                                       \
         (T * copy, float* w, float* grad, uint8_t* m, float* m_scales, uint8_t* r, float* r_scales, const AdamConstants* constants, const StepState* s, \
          Segments segments, int64_t first, int stochastic),                                                                              \
         kUpdateThreads) {                                                                                                                \
    update_blocks(Buffers<T>{copy, w, grad, {}, first, stochastic ? s : nullptr}, Moments{m, m_scales, r, r_scales}, constants, s, segments); \
  }
INSTANCE(float, f32)
INSTANCE(bf16, bf16)
INSTANCE(f16, f16)
