// embedding.cu — y[n] = table[ids[n]] (+ other[other_ids[n]]);   dtable[v] += Σ_{n: ids[n] = v} dy[n]
// Forward: a thread per 16 bytes of a row. An id outside of the table gives a row of NaN: it is seen in the loss, and
//   nothing is read beyond the table.
// Backward: two kernels. embedding_order sorts the positions by id, those of one id as they come: a block has kKeys ids in
//   a row and reads all of the ids, twice. In between it knows how many of each id each of its warps has, and how many
//   lower ids there are: so it knows its places without another block. embedding_backward has a warp for each of the sorted
//   positions and 32 vectors of columns: the first one of an id adds up the rows of the others, four under way at a time.
//   Where an id has more than a few dozen, the warps of its block load 64 at a time to shared memory, and each thread adds
//   up a column. All sums are in the order of n, as on the CPU; a row has one writer, and atomics are not needed.
//   Weighed against it: each position looks for its id among the others (4·N^2 bytes from the cache for 256 columns where
//   all are distinct; and 1500 rows of a frequent word by one warp), a radix sort (six launches or more), and parts of
//   long sums in parallel, whose bits would not be the CPU's.
// Traffic (s bytes an element): forward 2·N·C·s, backward N·C·s + 8·C bytes for each distinct id + 20·N, and
//   8·N·V/kKeys bytes of ids from the cache. FLOPs: N·C.
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

// Ids that a lane reads at a time: one by one, each would wait for the memory's latency.
constexpr int kIds = 8;
constexpr int kKeys = 512;  // ids that a block sorts, and its threads
constexpr int kOrderWarps = kKeys / kWarp;
constexpr int kNoId = 0x7fffffff;

// order[i] = (id, n), sorted by id and then by n. What gets no gradient comes last, as id `size`.
KERNEL(embedding_order, (int* order, const int* ids, int64_t count, int size, int skipped), kKeys) {
  __shared__ int place[kOrderWarps][kKeys];  // how many of an id a warp has; then where its next one goes
  __shared__ int lower[kOrderWarps], total[kOrderWarps];
  int warp = warp_index(), lane = lane_index(), mine = static_cast<int>(threadIdx.x);
  int first = blockIdx.x * kKeys;
  int64_t share = (count + kKeys - 1) / kKeys * kWarp, end = min(count, (warp + 1) * share);
  int below = 0;
  // For each of the warp's positions with one of the block's ids: its key, how many lanes have it and how many of them
  // come before this one.
  auto walk = [&](auto visit) {
    for (int64_t from = warp * share; from < end; from += kIds * kWarp) {
      int key[kIds];
#pragma unroll
      for (int k = 0; k < kIds; k++) {
        int64_t n = from + k * kWarp + lane;
        int id = n < end ? ids[n] : kNoId;
        key[k] = n >= end ? kNoId : id < 0 || id >= size || id == skipped ? size : id;
      }
#pragma unroll
      for (int k = 0; k < kIds; k++) {
        bool here = key[k] >= first && key[k] - first < kKeys;
        below += key[k] < first;
        if (!__any_sync(0xffffffffu, here)) continue;
        unsigned same = __match_any_sync(0xffffffffu, key[k]);
        int before = __popc(same & ((1u << lane) - 1));
        visit(here, from + k * kWarp + lane, key[k], before);
        __syncwarp();
        if (here && before == 0) place[warp][key[k] - first] += __popc(same);
        __syncwarp();
      }
    }
  };
#pragma unroll
  for (int w = 0; w < kOrderWarps; w++) place[w][mine] = 0;
  __syncthreads();
  walk([](bool, int64_t, int, int) {});
  below = __reduce_add_sync(0xffffffffu, below);
  if (lane == 0) lower[warp] = below;
  __syncthreads();
  int of_key = 0;
#pragma unroll
  for (int w = 0; w < kOrderWarps; w++) of_key += place[w][mine];
  int upto = of_key;  // of this key and the lower ones of the warp's
#pragma unroll
  for (int step = 1; step < kWarp; step *= 2) {
    int other = __shfl_up_sync(0xffffffffu, upto, step);
    if (lane >= step) upto += other;
  }
  if (lane == kWarp - 1) total[warp] = upto;
  __syncthreads();
  int next = upto - of_key;
#pragma unroll
  for (int w = 0; w < kOrderWarps; w++) next += lower[w] + (w < warp ? total[w] : 0);
#pragma unroll
  for (int w = 0; w < kOrderWarps; w++) {
    int has = place[w][mine];
    place[w][mine] = next;
    next += has;
  }
  __syncthreads();
  walk([&](bool here, int64_t n, int key, int before) {
    if (here) store_vec(order + 2 * (int64_t{place[warp][key - first]} + before), Vec<int, 2>{{key, static_cast<int>(n)}});
  });
}

constexpr int kUnderWay = 4;                     // rows that a warp by itself reads at a time
constexpr int kSumWarps = 8, kWarpRows = 8;      // and in a block that adds up one id
constexpr int kTileRows = kSumWarps * kWarpRows;
constexpr int kFew = 32;                         // an id with as many rows beyond its first block's is the block's

// order[i], beyond its end an id that no position has.
__device__ __forceinline__ Vec<int, 2> entry(const int* order, int64_t i, int64_t count) {
  return i >= 0 && i < count ? load_vec<2>(order + 2 * i) : Vec<int, 2>{{-1, 0}};
}

// Of one id, by a warp: rows of the sorted positions from `from` on.
template <class T, int N>
__device__ __forceinline__ void add_rows(float* target, const int* order, int64_t from, int64_t count, int id, const T* dy, int64_t dy_stride, bool mine) {
  float sum[N] = {};
  if (mine) load_floats(sum, target);
  for (;; from += kWarp) {
    Vec<int, 2> e = entry(order, from + lane_index(), count);
    int rows = __popc(__ballot_sync(0xffffffffu, e[0] == id));
    for (int first = 0; first < rows; first += kUnderWay) {
      Packed<T, N> v[kUnderWay];
#pragma unroll
      for (int r = 0; r < kUnderWay; r++) {
        int n = __shfl_sync(0xffffffffu, e[1], first + r);
        if (mine && first + r < rows) v[r] = load_packed<N>(dy + n * dy_stride);
      }
#pragma unroll
      for (int r = 0; r < kUnderWay; r++) {
        float d[N];
        unpack<T>(d, v[r]);
#pragma unroll
        for (int k = 0; k < N; k++) sum[k] = first + r < rows ? sum[k] + d[k] : sum[k];
      }
    }
    if (rows < kWarp) break;
  }
  if (mine) store_floats(target, sum);
}

// The same by a block; the columns begin at `at` of those that target and dy have.
template <class T, int N>
__device__ __forceinline__ void add_tiles(float* target, const int* order, int64_t from, int64_t count, int id, const T* dy, int64_t dy_stride, int at, int cols) {
  __shared__ Packed<T, N> tile[kTileRows][kWarp];
  constexpr int kApart = sizeof(Packed<T, N>) / (N * sizeof(T));  // 2 for single elements of half types
  int lane = lane_index(), column = at + static_cast<int>(threadIdx.x);
  bool loads = at + lane * N < cols, adds = threadIdx.x < kWarp * N && column < cols;
  float sum = adds ? target[column] : 0.0f;
  Packed<T, N> v[kWarpRows];
  bool row = false;  // whether the warp's row of this lane is one of the id's
  auto load = [&] {
    Vec<int, 2> e = entry(order, from + warp_index() * kWarpRows + lane, count);
    row = lane < kWarpRows && e[0] == id;
    unsigned rows = __ballot_sync(0xffffffffu, row);
#pragma unroll
    for (int r = 0; r < kWarpRows; r++) {
      int n = __shfl_sync(0xffffffffu, e[1], r);
      if (loads && (rows >> r & 1) != 0) v[r] = load_packed<N>(dy + n * dy_stride + at + lane * N);
    }
    from += kTileRows;
  };
  load();
  for (int rows = kTileRows; rows == kTileRows;) {
#pragma unroll
    for (int r = 0; r < kWarpRows; r++) tile[warp_index() * kWarpRows + r][lane] = v[r];
    rows = __syncthreads_count(row);
    if (rows == kTileRows) load();
    if (adds) {
#pragma unroll 8
      for (int r = 0; r < rows; r++) sum += to_float(reinterpret_cast<const T*>(tile[r])[kApart * threadIdx.x]);
    }
    __syncthreads();
  }
  if (adds) target[column] = sum;
}

template <class T, int N>
__device__ void embedding_backward(float* dtable, int64_t table_stride, int size, const int* order, const T* dy, int64_t dy_stride, int64_t count, int cols) {
  int64_t first = int64_t{blockIdx.x} * kSumWarps, last = min(first + kSumWarps, count) - 1, i = first + warp_index();
  int from = blockIdx.y * kWarp * N, at = from + lane_index() * N;
  // Of the ids that begin in this block only the last can go on far beyond it.
  int many = entry(order, last, count)[0];
  if (many == size || entry(order, first - 1, count)[0] == many || entry(order, last + kFew, count)[0] != many) many = -1;
  int id = entry(order, i, count)[0];
  if (id >= 0 && id != size && id != many && entry(order, i - 1, count)[0] != id) {
    bool mine = at < cols;  // N divides cols
    add_rows<T, N>(dtable + id * table_stride + at, order, i, count, id, dy + at, dy_stride, mine);
  }
  if (many < 0) return;
  bool begins = lane_index() < kSumWarps && entry(order, first + lane_index(), count)[0] == many;
  int64_t begin = first + __ffs(static_cast<int>(__ballot_sync(0xffffffffu, begins))) - 1;
  add_tiles<T, N>(dtable + many * table_stride, order, begin, count, many, dy, dy_stride, from, cols);
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
         (float* dtable, int64_t table_stride, int size, const int* order, const T* dy, int64_t dy_stride, int64_t count, int cols, int vectors), \
         kSumWarps * kWarp, 3) {                                                                                                       \
    if (vectors) {                                                                                                                     \
      embedding_backward<T, kVecLength<T>>(dtable, table_stride, size, order, dy, dy_stride, count, cols);                             \
    } else {                                                                                                                           \
      embedding_backward<T, 1>(dtable, table_stride, size, order, dy, dy_stride, count, cols);                                         \
    }                                                                                                                                  \
  }
INSTANCE(float, f32)
INSTANCE(bf16, bf16)
INSTANCE(f16, f16)
