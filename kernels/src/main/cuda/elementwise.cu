// elementwise.cu — y (+)= alpha · Σ f(a, b, c): copies between layouts and types, arithmetic with broadcasting, and sums
//   over the dimensions in which y stands still.
// Operands have any float type and any strides (0 where broadcast). Their types are arguments, since all mixtures of
//   four operands would be 81 instances: the branch on a type is the same for the whole grid. f likewise.
// Tiling: a thread takes a unit, 8 neighbours of the innermost loop (16 bytes of a half type, twice 16 of fp32) where
//   all operands lie densely or stand still there, otherwise 1. The host merges loops that all operands walk evenly, so a
//   dense tensor is one loop. Sums: over the innermost loop, a warp per result and piece of its terms; otherwise a thread
//   per unit of results and piece. Pieces depend on sizes alone and leave doubles, which a second kernel adds in order.
// Traffic: every operand once.  FLOPs: 1 to 20 an element, so memory bound.
// Measured: not yet.
#include "row.cuh"

constexpr int kOperands = 4;  // the result first
constexpr int kLoops = 8;

// The nest of loops: those that are kept, outermost first, then those that are summed over. The innermost loop of either
// kind counts units, and its strides are those between units.
struct Loops {
  int64_t kept, summed;
  int64_t size[kLoops];
  int64_t stride[kOperands][kLoops];
  int64_t dense[kOperands];  // 1 where neighbours in a unit lie side by side, 0 where they are the same element
  const void* data[kOperands];
  int64_t type[kOperands];
};

enum Type : int { kF32, kBf16, kF16 };                                           // DType's numbers
enum Function : int { kCopy, kAdd, kSub, kMul, kDiv, kMulDiv, kExp, kLog, kSqrt };  // dev.javelin.kernels.ElementwiseFunction

// Adds the operand's offset in pass `index` of loops [first, last) for all operands at once: divisions are dear.
__device__ __forceinline__ void add_offsets(int64_t (&at)[kOperands], const Loops& l, int operands, int first, int last, int64_t index) {
  for (int d = last - 1; d >= first; d--) {
    int64_t size = l.size[d], next, i;
    if (index <= 0xffffffff && size <= 0xffffffff) {
      uint32_t q = static_cast<uint32_t>(index) / static_cast<uint32_t>(size);
      next = q;
      i = static_cast<uint32_t>(index) - q * static_cast<uint32_t>(size);
    } else {
      next = index / size;
      i = index - next * size;
    }
#pragma unroll
    for (int o = 0; o < kOperands; o++) {
      if (o < operands) at[o] += i * l.stride[o][d];
    }
    index = next;
  }
}

template <int N>
__device__ __forceinline__ void load_unit(float (&v)[N], const Loops& l, int operand, int64_t at) {
  const void* p = l.data[operand];
  if (N > 1 && l.dense[operand]) {
    switch (l.type[operand]) {
      case kF32: load_floats(v, static_cast<const float*>(p) + at); return;
      case kBf16: load_floats(v, static_cast<const bf16*>(p) + at); return;
      default: load_floats(v, static_cast<const f16*>(p) + at); return;
    }
  }
  float one;
  switch (l.type[operand]) {
    case kF32: one = static_cast<const float*>(p)[at]; break;
    case kBf16: one = to_float(static_cast<const bf16*>(p)[at]); break;
    default: one = to_float(static_cast<const f16*>(p)[at]); break;
  }
#pragma unroll
  for (int i = 0; i < N; i++) v[i] = one;
}

template <int N>
__device__ __forceinline__ void store_unit(const Loops& l, int64_t at, float (&v)[N], bool accumulate) {
  void* p = const_cast<void*>(l.data[0]);
  switch (l.type[0]) {
    case kF32: emit_floats(static_cast<float*>(p) + at, v, accumulate); return;
    case kBf16: emit_floats(static_cast<bf16*>(p) + at, v, accumulate); return;
    default: emit_floats(static_cast<f16*>(p) + at, v, accumulate); return;
  }
}

__device__ __forceinline__ float value(Function f, float a, float b, float c) {
  switch (f) {
    case kCopy: return a;
    case kAdd: return a + b;
    case kSub: return a - b;
    case kMul: return a * b;
    case kDiv: return a / b;
    case kMulDiv: return a * b / c;
    case kExp: return expf(a);
    case kLog: return logf(a);
    case kSqrt: return sqrtf(a);
  }
  return a;
}

template <int N>
__device__ __forceinline__ void evaluate(float (&y)[N], const Loops& l, int operands, const int64_t (&at)[kOperands], Function f) {
  float b[N] = {}, c[N] = {};
  load_unit(y, l, 1, at[1]);
  if (operands > 2) load_unit(b, l, 2, at[2]);
  if (operands > 3) load_unit(c, l, 3, at[3]);
#pragma unroll
  for (int i = 0; i < N; i++) y[i] = value(f, y[i], b[i], c[i]);
}

// No sums: a thread per unit.
template <int N>
__device__ void map(const Loops& l, int operands, Function f, float alpha, bool accumulate, int64_t units) {
  int64_t unit = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;  // elements may pass 2^31
  if (unit >= units) return;
  int64_t at[kOperands] = {};
  add_offsets(at, l, operands, 0, static_cast<int>(l.kept), unit);
  float v[N];
  evaluate(v, l, operands, at, f);
#pragma unroll
  for (int i = 0; i < N; i++) v[i] *= alpha;
  store_unit(l, at[0], v, accumulate);
}

// The innermost loop is summed: a warp per result k and piece of its `terms` units. Lanes take neighbouring units.
template <int N>
__device__ void sum_rows(double* partial, const Loops& l, int operands, Function f, int64_t results, int pieces, int64_t piece, int64_t terms) {
  int64_t task = int64_t{blockIdx.x} * kRowWarps + warp_index();
  if (task >= results * pieces) return;
  int64_t k = task / pieces, from = (task - k * pieces) * piece, to = min(from + piece, terms);
  int kept = static_cast<int>(l.kept);
  int64_t start[kOperands] = {};
  add_offsets(start, l, operands, 0, kept, k);
  double total = 0;
  for (int64_t s = from + lane_index(); s < to; s += kWarp) {
    int64_t at[kOperands] = {start[0], start[1], start[2], start[3]};
    add_offsets(at, l, operands, kept, static_cast<int>(kept + l.summed), s);
    float v[N];
    evaluate(v, l, operands, at, f);
    float sum = v[0];  // of a unit in fp32, of units in double: an eighth of the dear additions
#pragma unroll
    for (int i = 1; i < N; i++) sum += v[i];
    total += sum;
  }
  for (int step = 16; step != 0; step /= 2) total += __shfl_xor_sync(0xffffffffu, total, step);
  if (lane_index() == 0) partial[task] = total;
}

// An outer loop is summed: a thread per unit of results and piece of the terms. partial [pieces, results].
template <int N>
__device__ void sum_columns(double* partial, const Loops& l, int operands, Function f, int64_t units, int64_t piece, int64_t terms) {
  int64_t unit = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (unit >= units) return;
  int64_t from = int64_t{blockIdx.y} * piece, to = min(from + piece, terms);
  int kept = static_cast<int>(l.kept);
  int64_t start[kOperands] = {};
  add_offsets(start, l, operands, 0, kept, unit);
  double total[N] = {};
  for (int64_t s = from; s < to; s++) {
    int64_t at[kOperands] = {start[0], start[1], start[2], start[3]};
    add_offsets(at, l, operands, kept, static_cast<int>(kept + l.summed), s);
    float v[N];
    evaluate(v, l, operands, at, f);
#pragma unroll
    for (int i = 0; i < N; i++) total[i] += v[i];
  }
#pragma unroll
  for (int i = 0; i < N; i++) partial[(blockIdx.y * units + unit) * N + i] = total[i];
}

// Adds a result's pieces in order; the loops count elements of the result here, not units.
KERNEL(elementwise_finish, (const double* partial, Loops l, int pieces, int64_t result_stride, int64_t piece_stride, float alpha, int accumulate, int64_t results),
       kRowWarps * kWarp) {
  int64_t k = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (k >= results) return;
  double total = 0;
  for (int p = 0; p < pieces; p++) total += partial[k * result_stride + p * piece_stride];
  int64_t at[kOperands] = {};
  add_offsets(at, l, 1, 0, static_cast<int>(l.kept), k);
  float v[1] = {static_cast<float>(alpha * total)};
  store_unit(l, at[0], v, accumulate != 0);
}

#define INSTANCE(N, suffix)                                                                                                              \
  KERNEL(elementwise_map_##suffix, (Loops l, int operands, int f, float alpha, int accumulate, int64_t units), kRowWarps * kWarp) {       \
    map<N>(l, operands, Function(f), alpha, accumulate != 0, units);                                                                     \
  }                                                                                                                                      \
  KERNEL(elementwise_sum_rows_##suffix, (double* partial, Loops l, int operands, int f, int64_t results, int pieces, int64_t piece, int64_t terms), \
         kRowWarps * kWarp) {                                                                                                            \
    sum_rows<N>(partial, l, operands, Function(f), results, pieces, piece, terms);                                                       \
  }                                                                                                                                      \
  KERNEL(elementwise_sum_columns_##suffix, (double* partial, Loops l, int operands, int f, int64_t units, int64_t piece, int64_t terms), \
         kRowWarps * kWarp) {                                                                                                            \
    sum_columns<N>(partial, l, operands, Function(f), units, piece, terms);                                                              \
  }
INSTANCE(1, x1)
INSTANCE(8, x8)
