// check_mma.cu — tensor-core and copy wrappers; MmaConformanceTest and CopyConformanceTest hold them against plain loops.
#include "common.cuh"

// d = a·b + c, one instruction: a [16,16] and c, d [16,8] row-major, b [16,8] column-major. Fragments straight from
// global memory, by the layout that common.cuh states.
template <class T>
__device__ void mma_halves(float* d, const T* a, const T* b, const float* c) {
  int g = lane_index() / 4, t = lane_index() % 4;
  uint32_t fa[4], fb[2];
  float acc[4];
  for (int r = 0; r < 4; r++) {
    fa[r] = *reinterpret_cast<const uint32_t*>(a + (g + 8 * (r % 2)) * 16 + 2 * t + 8 * (r / 2));
    acc[r] = c[(g + 8 * (r / 2)) * 8 + 2 * t + r % 2];
  }
  for (int r = 0; r < 2; r++) fb[r] = *reinterpret_cast<const uint32_t*>(b + g * 16 + 2 * t + 8 * r);
  mma_m16n8k16<T>(acc, fa, fb);
  for (int r = 0; r < 4; r++) d[(g + 8 * (r / 2)) * 8 + 2 * t + r % 2] = acc[r];
}
KERNEL(check_mma_halves_bf16, (float* d, const bf16* a, const bf16* b, const float* c), 32) { mma_halves(d, a, b, c); }
KERNEL(check_mma_halves_f16, (float* d, const f16* a, const f16* b, const float* c), 32) { mma_halves(d, a, b, c); }

// The same with a [16,8], b [8,8] in tf32.
KERNEL(check_mma_tf32, (float* d, const float* a, const float* b, const float* c), 32) {
  int g = lane_index() / 4, t = lane_index() % 4;
  uint32_t fa[4], fb[2];
  float acc[4];
  for (int r = 0; r < 4; r++) {
    fa[r] = to_tf32(a[(g + 8 * (r % 2)) * 8 + t + 4 * (r / 2)]);
    acc[r] = c[(g + 8 * (r / 2)) * 8 + 2 * t + r % 2];
  }
  for (int r = 0; r < 2; r++) fb[r] = to_tf32(b[g * 8 + t + 4 * r]);
  mma_m16n8k8_tf32(acc, fa, fb);
  for (int r = 0; r < 4; r++) d[(g + 8 * (r / 2)) * 8 + 2 * t + r % 2] = acc[r];
}

// out[q][lane] = register q of ldmatrix over the matrices in [kCount][8][8].
#define LDMATRIX_CHECK(count, suffix)                                                       \
  KERNEL(check_mma_ldmatrix_x##count##suffix, (uint32_t * out, const uint16_t* in), 32) {   \
    __shared__ __align__(16) uint16_t tile[count * 64];                                     \
    for (int i = lane_index(); i < count * 64; i += 32) tile[i] = in[i];                    \
    __syncwarp();                                                                           \
    uint32_t r[count];                                                                      \
    ldmatrix_x##count##suffix(r, tile + lane_index() % (count * 8) * 8);                    \
    for (int q = 0; q < count; q++) out[q * 32 + lane_index()] = r[q];                      \
  }
LDMATRIX_CHECK(1, )
LDMATRIX_CHECK(2, )
LDMATRIX_CHECK(4, )
LDMATRIX_CHECK(1, _trans)
LDMATRIX_CHECK(2, _trans)
LDMATRIX_CHECK(4, _trans)

// d [16,8] = a [16,16] · b: ldmatrix feeding mma. b is stored [8][16] (k fastest), or [16][8] and transposed on the way.
template <bool kTransposed>
__device__ void ldmatrix_mma(float* d, const bf16* a, const bf16* b) {
  __shared__ __align__(16) bf16 sa[16 * 16], sb[16 * 8];
  int lane = lane_index();
  for (int i = lane; i < 256; i += 32) sa[i] = a[i];
  for (int i = lane; i < 128; i += 32) sb[i] = b[i];
  __syncwarp();
  uint32_t fa[4], fb[2];
  float acc[4] = {};
  ldmatrix_x4(fa, sa + lane % 16 * 16 + lane / 16 * 8);
  if constexpr (kTransposed) {
    ldmatrix_x2_trans(fb, sb + lane % 16 * 8);
  } else {
    ldmatrix_x2(fb, sb + lane % 8 * 16 + lane / 8 % 2 * 8);
  }
  mma_m16n8k16<bf16>(acc, fa, fb);
  for (int r = 0; r < 4; r++) d[(lane / 4 + 8 * (r / 2)) * 8 + 2 * (lane % 4) + r % 2] = acc[r];
}
KERNEL(check_mma_from_shared, (float* d, const bf16* a, const bf16* b), 32) { ldmatrix_mma<false>(d, a, b); }
KERNEL(check_mma_from_shared_trans, (float* d, const bf16* a, const bf16* b), 32) { ldmatrix_mma<true>(d, a, b); }

// out = in through shared memory, 128 pieces of kBytes; piece i is cut to i % (kBytes + 1) bytes, the rest zeros. The
// pieces travel in two groups; the first is read while the second may still be under way.
template <int kBytes>
__device__ void copy_pieces(unsigned char* out, const unsigned char* in) {
  __shared__ __align__(16) unsigned char tile[2][64 * kBytes];
  int i = threadIdx.x;
  cp_async<kBytes>(tile[0] + i * kBytes, in + i * kBytes);
  cp_async_commit();
  cp_async<kBytes>(tile[1] + i * kBytes, in + (64 + i) * kBytes, (64 + i) % (kBytes + 1));
  cp_async_commit();
  cp_async_wait<1>();
  __syncthreads();
  for (int b = 0; b < kBytes; b++) out[i * kBytes + b] = tile[0][i * kBytes + b];
  cp_async_wait<0>();
  __syncthreads();
  for (int b = 0; b < kBytes; b++) out[(64 + i) * kBytes + b] = tile[1][i * kBytes + b];
}
KERNEL(check_mma_cp_async_4, (unsigned char* out, const unsigned char* in), 64) { copy_pieces<4>(out, in); }
KERNEL(check_mma_cp_async_8, (unsigned char* out, const unsigned char* in), 64) { copy_pieces<8>(out, in); }
KERNEL(check_mma_cp_async_16, (unsigned char* out, const unsigned char* in), 64) { copy_pieces<16>(out, in); }

// y = 2·x, n a multiple of 8, in vectors of 16, 8 and 4 bytes, cached and streaming.
KERNEL(check_mma_vectors, (bf16 * y16, bf16* y8, bf16* y4, const bf16* x, int n), 64) {
  for (int i = threadIdx.x * 8; i < n; i += 64 * 8) {
    Vec16<bf16> v = load_vec_streaming<8>(x + i);
    for (int j = 0; j < 8; j++) v[j] = from_float<bf16>(2 * to_float(v[j]));
    store_vec_streaming(y16 + i, v);
    for (int part = i; part < i + 8; part += 4) {
      auto w = load_vec<4>(x + part);
      for (int j = 0; j < 4; j++) w[j] = from_float<bf16>(2 * to_float(w[j]));
      store_vec(y8 + part, w);
    }
    for (int part = i; part < i + 8; part += 2) {
      auto w = load_vec<2>(x + part);
      for (int j = 0; j < 2; j++) w[j] = from_float<bf16>(2 * to_float(w[j]));
      store_vec(y4 + part, w);
    }
  }
}
