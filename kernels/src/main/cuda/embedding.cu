// embedding.cu — y[n] = table[ids[n]] (+ other[other_ids[n]]);   dtable[v] += Σ_{n: ids[n] = v} dy[n]
// Forward: a thread per 16 bytes of a row. An id outside of the table gives a row of NaN: it is seen in the loss, and
//   nothing is read beyond the table.
// Backward: a warp per position and 32 vectors of columns. The first position with an id owns its row: a warp that finds
//   its id among earlier ones, the nearest first, ends there; an owner goes on through the later ones, 256 ids at a time,
//   and adds up the rows that have its id, four under way at a time, in the order of n, as the CPU does. So every row has
//   one writer, no atomics and no scratch memory, and runs repeat bit for bit. Weighed against it: a sort of the ids (ten
//   launches for a few thousand numbers), and a warp per row of the table, which reads all ids V times (50257·16384·4
//   bytes = 3.3 GB against 0.5 GB here at worst, and in text most ids are found again within a few hundred).
// Traffic (s bytes an element): forward 2·N·C·s, backward N·C·s + 8·C bytes for each distinct id + ids from cache.
//   FLOPs: N·C.
// Positions: ids[b, t] = first + t, a thread each; 4 bytes written.
// Measured: not yet.
#include "row.cuh"

KERNEL(embedding_positions, (int* ids, int64_t count, int64_t cols, int first), 256) {
  int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < count) ids[i] = first + static_cast<int>(i % cols);
}

template <class T, int N>
__device__ void embedding_forward(T* y, int64_t y_stride, const T* table, int64_t table_stride, const int* ids, int size, const T* other,
                                  int64_t other_stride, const int* other_ids, int other_size, int64_t count, int64_t cols) {
  int64_t unit = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;  // elements may pass 2^31
  if (unit >= count) return;
  int64_t row = unit / cols, at = (unit - row * cols) * N;
  int id = ids[row], other_id = other == nullptr ? 0 : other_ids[row];
  float v[N];
  if (id < 0 || id >= size || (other != nullptr && (other_id < 0 || other_id >= other_size))) {
#pragma unroll
    for (int i = 0; i < N; i++) v[i] = NAN;
  } else {
    load_floats(v, table + id * table_stride + at);
    if (other != nullptr) {
      float w[N];
      load_floats(w, other + other_id * other_stride + at);
#pragma unroll
      for (int i = 0; i < N; i++) v[i] += w[i];
    }
  }
  store_floats(y + row * y_stride + at, v);
}

// Rows of a frequent id, and ids, that a lane reads at a time: one by one, each would wait for the memory's latency.
constexpr int kUnderWay = 4, kIds = 8;

// Whether an id equal to ids[n] stands before n; the same answer in all lanes.
__device__ __forceinline__ bool stands_before(const int* ids, int64_t n) {
  int id = ids[n];
  for (int64_t end = n; end > 0; end -= kIds * kWarp) {
    bool found = false;
#pragma unroll
    for (int k = 0; k < kIds; k++) {
      int64_t i = end - 1 - lane_index() - k * kWarp;
      found |= i >= 0 && ids[i] == id;
    }
    if (__any_sync(0xffffffffu, found)) return true;
  }
  return false;
}

template <class T, int N>
__device__ void embedding_backward(float* dtable, int64_t table_stride, int size, const int* ids, int skipped, const T* dy, int64_t dy_stride, int64_t count,
                                   int cols) {
  int64_t n = int64_t{blockIdx.x} * kRowWarps + warp_index();
  if (n >= count) return;
  int id = ids[n];
  if (id == skipped || id < 0 || id >= size || stands_before(ids, n)) return;
  int at = (blockIdx.y * kWarp + lane_index()) * N;
  float* target = dtable + id * table_stride + at;
  float sum[N] = {};
  bool mine = at < cols;  // N divides cols
  if (mine) load_floats(sum, target);
  auto add = [&](int64_t from, unsigned same) {  // of the ids from `from` on, those of the bits
    while (mine && same != 0) {
      int rows = __popc(same);
      Packed<T, N> v[kUnderWay];
#pragma unroll
      for (int r = 0; r < kUnderWay; r++) {
        const T* row = dy + (from + __ffs(static_cast<int>(same)) - 1) * dy_stride + at;
        same &= same - 1;  // 0 stays 0
        if (r < rows) v[r] = load_packed<N>(row);
      }
#pragma unroll
      for (int r = 0; r < kUnderWay; r++) {
        float d[N];
        unpack<T>(d, v[r]);
#pragma unroll
        for (int k = 0; k < N; k++) sum[k] = r < rows ? sum[k] + d[k] : sum[k];
      }
    }
  };
  for (int64_t from = n; from < count; from += kIds * kWarp) {
    bool same[kIds];
#pragma unroll
    for (int k = 0; k < kIds; k++) {
      int64_t i = from + k * kWarp + lane_index();
      same[k] = i < count && ids[i] == id;
    }
#pragma unroll
    for (int k = 0; k < kIds; k++) add(from + k * kWarp, __ballot_sync(0xffffffffu, same[k]));
  }
  if (mine) store_floats(target, sum);
}

// The host says whether all rows can be read in vectors: it sized the grid by that.
#define INSTANCE(T, suffix)                                                                                                            \
  KERNEL(embedding_forward_##suffix,                                                                                                   \
         (T * y, int64_t y_stride, const T* table, int64_t table_stride, const int* ids, int size, const T* other, int64_t other_stride, \
          const int* other_ids, int other_size, int64_t count, int64_t cols, int vectors),                                             \
         256) {                                                                                                                        \
    if (vectors) {                                                                                                                     \
      embedding_forward<T, kVecLength<T>>(y, y_stride, table, table_stride, ids, size, other, other_stride, other_ids, other_size, count, cols); \
    } else {                                                                                                                           \
      embedding_forward<T, 1>(y, y_stride, table, table_stride, ids, size, other, other_stride, other_ids, other_size, count, cols);   \
    }                                                                                                                                  \
  }                                                                                                                                    \
  KERNEL(embedding_backward_##suffix,                                                                                                  \
         (float* dtable, int64_t table_stride, int size, const int* ids, int skipped, const T* dy, int64_t dy_stride, int64_t count, int cols, int vectors), \
         kRowWarps * kWarp) {                                                                                                          \
    if (vectors) {                                                                                                                     \
      embedding_backward<T, kVecLength<T>>(dtable, table_stride, size, ids, skipped, dy, dy_stride, count, cols);                      \
    } else {                                                                                                                           \
      embedding_backward<T, 1>(dtable, table_stride, size, ids, skipped, dy, dy_stride, count, cols);                                  \
    }                                                                                                                                  \
  }
INSTANCE(float, f32)
INSTANCE(bf16, bf16)
INSTANCE(f16, f16)
