// dropout.cu — y[b,i] (+)= x[b,i]/(1−p) where u ≥ p·2³², else 0;  u: word i mod 4 of Philox4x32-10 at counter (i/4,
//   first sequence + b, step, site) under key seed                            Salmon et al. 2011, doi:10.1145/2063384.2063405
// Backward is the same with dy for x: the mask is drawn again, none is kept. Seed, step and first sequence are read from
//   the step's state in device memory, so a recorded step draws new masks when it is replayed; the bits are the CPU's.
// Tiling: a thread per 16 bytes of a sequence (4 fp32 or 8 half elements: one or two blocks of Philox); where sequences
//   are not a whole number of these, or not aligned, per block of Philox (4 elements, one by one).
// Traffic (n elements, s bytes each): 2·n·s, 3·n·s where added to.  Integer work: 10 rounds of two 32-bit multiplications
//   with high halves for 4 elements, about 20 instructions an element, so still memory bound.
// Measured: not yet.
#include "philox.cuh"
#include "row.cuh"
#include "step_state.cuh"

// What decides a mask besides the place of the element.
struct Mask {
  int64_t seed;
  uint32_t first_sequence, step, site, threshold;
  float kept;

  // The factors of four elements of a sequence, from `first` on, which is a multiple of four.
  __device__ __forceinline__ void factors(float* f, int64_t sequence, int64_t first) const {
    uint32_t words[kWords] = {static_cast<uint32_t>(first / kWords), first_sequence + static_cast<uint32_t>(sequence), step, site};
    philox(words, static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
#pragma unroll
    for (int i = 0; i < kWords; i++) f[i] = words[i] >= threshold ? kept : 0.0f;
  }
};

// N elements a unit, of which a sequence has `units`; the last one of a sequence may be cut where kWhole is false.
template <class T, int N, bool kWhole>
__device__ void dropout(T* y, bool accumulate, const T* x, const Mask& mask, int64_t count, int64_t units, int64_t elements) {
  int64_t unit = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;  // elements may pass 2^31
  if (unit >= count) return;
  int64_t sequence = unit / units, first = (unit - sequence * units) * N, at = sequence * elements + first;
  float factor[N];
#pragma unroll
  for (int i = 0; i < N; i += kWords) mask.factors(factor + i, sequence, first + i);
  if constexpr (kWhole) {
    float v[N];
    load_floats(v, x + at);
#pragma unroll
    for (int i = 0; i < N; i++) v[i] = __fmul_rn(v[i], factor[i]);  // rounded before it is added: the CPU's bits
    emit_floats(y + at, v, accumulate);
  } else {
#pragma unroll
    for (int i = 0; i < N; i++) {
      if (first + i >= elements) break;
      float v[1] = {__fmul_rn(to_float(x[at + i]), factor[i])};
      emit_floats(y + at + i, v, accumulate);
    }
  }
}

// The host says whether sequences divide into vectors: it sized the grid by that.
#define INSTANCE(T, suffix)                                                                                                            \
  KERNEL(dropout_##suffix,                                                                                                             \
         (T * y, int accumulate, const T* x, const StepState* state, int site, unsigned threshold, float kept, int64_t count, int64_t units, \
          int64_t elements, int vectors),                                                                                              \
         256) {                                                                                                                        \
    Mask mask{state->seed, static_cast<uint32_t>(state->first_sequence), static_cast<uint32_t>(state->step), static_cast<uint32_t>(site), threshold, kept}; \
    if (vectors) {                                                                                                                     \
      dropout<T, kVecLength<T>, true>(y, accumulate != 0, x, mask, count, units, elements);                                            \
    } else {                                                                                                                           \
      dropout<T, kWords, false>(y, accumulate != 0, x, mask, count, units, elements);                                                  \
    }                                                                                                                                  \
  }
INSTANCE(float, f32)
INSTANCE(bf16, bf16)
INSTANCE(f16, f16)
