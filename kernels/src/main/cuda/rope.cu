// rope.cu — n = x·rstd·(w + offset),  rstd = 1/sqrt(mean(x²) + ε) over a head (or n = x);  y = R n, where R turns the feature pair
//   (a, b) to (a·cos − b·sin, b·cos + a·sin)                       Su et al. 2021, arXiv:2104.09864
//   backward: g = Rᵀ dy,  dw = Σ g·x·rstd,  dx = rstd·(g·w − x·rstd²·mean(g·w·x)), w with the offset  (or dx = g)
// The first 2·P features of a head turn, the others stay. Pairs are (i, i + P), or the neighbours (2i, 2i + 1).
// Tiling: queries and keys in one launch, wherever they lie (batch, time and head strides). A unit is a vector of pairs,
//   two accesses of 16 bytes (or a vector of features that stay); a power of two of lanes, one for each unit, has a
//   head: 8 lanes for 128 half elements, so a warp has 4 heads of the same position. It goes through all heads of its
//   position where there are positions enough for the GPU, reads their angles once, and has the next 8 heads under way
//   while it turns 4. The first unit of a lane stays in registers; more than 32 units (heads of over 512 half, 256 fp32
//   elements) are read again from L1. Layouts that do not divide go pair by pair, with 32 lanes a head.
//   Backward with dw: a warp goes through its share of the heads and keeps their contribution in registers; its head
//   groups are added by shuffles, and partial_sum adds one fp32 row for each warp. Shares depend on sizes alone.
// Traffic (E elements of q and k, s bytes each): without norm 2·E·s either way, with it 2·E·s forward, 3·E·s backward,
//   and 4 bytes a head of rstd; the angles, 8·P bytes a position, mostly from cache. FLOPs: 3 an element, with norm 6
//   forward and 14 backward, so memory bound.
// Measured: not yet.
#include "row.cuh"

// Heads wherever they lie: that of (b, t, h) begins at data + b·batch + t·time + h·head and is dense.
template <class T>
struct HeadView {
  T* data;
  int64_t batch, time, head;
  __device__ __forceinline__ T* at(int b, int t, int h) const { return data + b * batch + t * time + h * head; }
};

// Queries or keys, from `in` to `out`; backward dy is `in`, and dx is `out` (null: nobody wants it).
template <class T>
struct Side {
  HeadView<T> out;
  HeadView<const T> in;
  HeadView<const T> x;  // backward with normalisation
  int64_t accumulate;
  const T* weight;      // null without normalisation, as is rstd
  float* rstd;          // [B, T, H]
  float* partial;       // a row of D for each warp; null where nobody wants dw
  int64_t heads, warps;
};

template <class T>
struct Sides {
  Side<T> of[2];  // queries, keys
};

struct Angles {
  const float *cos, *sin;  // [positions, pairs]
  const int* ids;          // position of (b, t) at b·batch + t; null: offset + t
  int64_t batch, offset, positions, pairs, interleaved;
};

// A unit as it lies in memory: N pairs, or in the first half N features that stay.
template <class T, int N>
struct Unit {
  Packed<T, N> first, second;

  __device__ __forceinline__ void load(const T* head, int unit, const Angles& r) {
    int pairs = static_cast<int>(r.pairs), at = unit * N;
    const T* p = head + (at >= pairs ? pairs + at : r.interleaved ? 2 * at : at);
    first = load_packed<N>(p);
    if (at < pairs) second = load_packed<N>(p + (r.interleaved ? N : pairs));
  }
  // Features a and b of the pairs.
  __device__ __forceinline__ void split(float (&a)[N], float (&b)[N], int unit, const Angles& r) const {
    unpack<T>(a, first);
    if (unit * N >= r.pairs) {
#pragma unroll
      for (int i = 0; i < N; i++) b[i] = 0;
      return;
    }
    unpack<T>(b, second);
    if (!r.interleaved) return;
    float low[N], high[N];
#pragma unroll
    for (int i = 0; i < N; i++) {
      low[i] = a[i];
      high[i] = b[i];
    }
#pragma unroll
    for (int i = 0; i < N; i++) {
      a[i] = 2 * i < N ? low[2 * i % N] : high[2 * i % N];
      b[i] = 2 * i + 1 < N ? low[(2 * i + 1) % N] : high[(2 * i + 1) % N];
    }
  }
};
template <int N, class T>
__device__ __forceinline__ void load_unit(float (&a)[N], float (&b)[N], const T* head, int unit, const Angles& r) {
  Unit<T, N> u = {};
  u.load(head, unit, r);
  u.split(a, b, unit, r);
}
template <int N, class T>
__device__ __forceinline__ void emit_unit(T* head, int unit, float (&a)[N], float (&b)[N], const Angles& r, bool accumulate) {
  int pairs = static_cast<int>(r.pairs), first = unit * N;
  if (first >= pairs) {
    emit_floats(head + pairs + first, a, accumulate);
  } else if (!r.interleaved) {
    emit_floats(head + first, a, accumulate);
    emit_floats(head + pairs + first, b, accumulate);
  } else {
    float low[N], high[N];
#pragma unroll
    for (int i = 0; i < N; i++) {
      (2 * i < N ? low : high)[2 * i % N] = a[i];
      (2 * i + 1 < N ? low : high)[(2 * i + 1) % N] = b[i];
    }
    emit_floats(head + 2 * first, low, accumulate);
    emit_floats(head + 2 * first + N, high, accumulate);
  }
}

// The row of a position in the tables; -1 for a position that they lack.
__device__ __forceinline__ int64_t angle_row(const Angles& r, int b, int t) {
  int64_t position = r.ids == nullptr ? r.offset + t : r.ids[b * r.batch + t];
  return position >= 0 && position < r.positions ? position : -1;
}

// The angles of a unit. A position outside of the tables gives NaN: it is seen in the loss, and nothing is read beyond
// them.
template <int N>
struct Turn {
  float cos[N], sin[N];

  __device__ __forceinline__ Turn(int unit, const Angles& r, int64_t row) {
    if (row >= 0 && unit * N < r.pairs) {
      load_floats(cos, r.cos + row * r.pairs + unit * N);
      load_floats(sin, r.sin + row * r.pairs + unit * N);
    } else {
#pragma unroll
      for (int i = 0; i < N; i++) cos[i] = sin[i] = NAN;
    }
  }
  // Forward or (direction -1) back; features that stay, stay.
  __device__ __forceinline__ void operator()(float (&a)[N], float (&b)[N], int unit, const Angles& r, float direction) const {
    if (unit * N >= r.pairs) return;
#pragma unroll
    for (int i = 0; i < N; i++) {
      float sine = sin[i] * direction, before = a[i];
      a[i] = fmaf(before, cos[i], -(b[i] * sine));
      b[i] = fmaf(b[i], cos[i], before * sine);
    }
  }
};

// Over the lanes of a head, a power of two of neighbours; each has the result. All lanes of the warp take part.
__device__ __forceinline__ float head_sum(float v, int lanes) {
  for (int step = lanes / 2; step != 0; step /= 2) v += __shfl_xor_sync(0xffffffffu, v, step);
  return v;
}

// What a warp works on.
struct Share {
  int group, groups, rank, units;  // which of the warp's heads, of how many; which of the head's lanes; units of a head
  int64_t from, to;                // heads [from, to), counted over batch, time and heads
};
template <int N, class T>
__device__ __forceinline__ Share share_of(const Side<T>& side, int64_t warp, const Angles& r, int64_t rows, int dim, int64_t share, int lanes) {
  int pairs = static_cast<int>(r.pairs);
  return {lane_index() / lanes, kWarp / lanes, lane_index() % lanes, (dim - pairs) / N, warp * share, min((warp + 1) * share, rows * side.heads)};
}

// Forward, or backward (direction -1) without normalisation. A warp has `share` heads of a row, or those that are left.
template <class T, int N>
__device__ void rope_turn(const Sides<T>& sides, const Angles& r, float direction, int time, int dim, float eps, float offset, int share, int lanes) {
  int64_t warp = int64_t{blockIdx.x} * kRowWarps + warp_index();
  int which = warp >= sides.of[0].warps;
  if (which == 1) warp -= sides.of[0].warps;
  const Side<T>& side = sides.of[which];
  if (warp >= side.warps) return;
  int heads = static_cast<int>(side.heads), shares = (heads + share - 1) / share, units = (dim - static_cast<int>(r.pairs)) / N;
  int row = static_cast<int>(warp) / shares, from = (static_cast<int>(warp) - row * shares) * share, to = min(from + share, heads);  // fewer than 2^31
  int b = row / time, t = row - b * time;
  int groups = kWarp / lanes, group = lane_index() / lanes, rank = lane_index() % lanes;
  int64_t angle = angle_row(r, b, t);
  Unit<T, N> next = {}, later = {};  // of the two heads after the one in hand
  auto load = [&](Unit<T, N>& unit, int h) {
    if (h < to && rank < units) unit.load(side.in.at(b, t, h), rank, r);
  };
  load(next, from + group);
  load(later, from + group + groups);
  Turn<N> first(rank, r, angle);
#pragma unroll 1
  for (int h = from + group; h - group < to; h += groups) {
    bool valid = h < to;
    const T* x = side.in.at(b, t, h);
    float u[N] = {}, v[N] = {};
    if (valid && rank < units) next.split(u, v, rank, r);
    next = later;
    load(later, h + 2 * groups);
    float scale = 1;
    if (side.rstd != nullptr) {
      float squares = 0;
#pragma unroll
      for (int i = 0; i < N; i++) squares += u[i] * u[i] + v[i] * v[i];
#pragma unroll 1
      for (int unit = rank + lanes; valid && unit < units; unit += lanes) {
        float c[N], d[N];
        load_unit(c, d, x, unit, r);
#pragma unroll
        for (int i = 0; i < N; i++) squares += c[i] * c[i] + d[i] * d[i];
      }
      scale = 1.0f / sqrtf(head_sum(squares, lanes) / static_cast<float>(dim) + eps);
      if (valid && rank == 0) side.rstd[int64_t{row} * heads + h] = scale;
    }
#pragma unroll 1
    for (int unit = rank; valid && unit < units; unit += lanes) {
      Turn<N> turn = first;
      if (unit != rank) {
        load_unit(u, v, x, unit, r);
        turn = Turn<N>(unit, r, angle);
      }
      if (side.weight != nullptr) {
        float c[N], d[N];
        load_unit(c, d, side.weight, unit, r);
#pragma unroll
        for (int i = 0; i < N; i++) {
          u[i] = u[i] * scale * (c[i] + offset);
          v[i] = v[i] * scale * (d[i] + offset);
        }
      }
      turn(u, v, unit, r, direction);
      emit_unit(side.out.at(b, t, h), unit, u, v, r, side.accumulate != 0);
    }
  }
}

// With normalisation.
template <class T, int N>
__device__ void rope_backward(const Sides<T>& sides, const Angles& r, int64_t rows, int time, int dim, float offset, int64_t heads, int lanes) {
  int64_t warp = int64_t{blockIdx.x} * kRowWarps + warp_index();
  int which = warp >= sides.of[0].warps;
  if (which == 1) warp -= sides.of[0].warps;
  const Side<T>& side = sides.of[which];
  if (warp >= side.warps) return;
  Share mine = share_of<N>(side, warp, r, rows, dim, heads, lanes);
  float* partial = side.partial == nullptr ? nullptr : side.partial + warp * dim;
  float du[N] = {}, dv[N] = {};  // of the weight, first unit
#pragma unroll 1
  for (int unit = mine.rank + lanes; partial != nullptr && unit < mine.units; unit += lanes) {
    float c[N] = {}, d[N] = {};
    emit_unit(partial, unit, c, d, r, false);
  }
#pragma unroll 1
  for (int64_t at = mine.from; at < mine.to; at += mine.groups) {
    bool valid = at + mine.group < mine.to;
    int item = static_cast<int>(at) + mine.group, count = static_cast<int>(side.heads);
    int row = item / count, h = item - row * count, b = row / time, t = row - b * time;
    int64_t angle = valid ? angle_row(r, b, t) : -1;
    const T* dy = side.in.at(b, t, h);
    const T* x = side.x.at(b, t, h);
    auto load = [&](float (&gu)[N], float (&gv)[N], float (&xu)[N], float (&xv)[N], int unit) {
      load_unit(gu, gv, dy, unit, r);
      Turn<N>(unit, r, angle)(gu, gv, unit, r, -1);
      load_unit(xu, xv, x, unit, r);
    };
    float gu[N] = {}, gv[N] = {}, xu[N] = {}, xv[N] = {};
    float dot = 0;
    auto add = [&](float (&c)[N], float (&d)[N], float (&e)[N], float (&f)[N], int unit) {
      float wu[N], wv[N];
      load_unit(wu, wv, side.weight, unit, r);
#pragma unroll
      for (int i = 0; i < N; i++) dot += c[i] * (wu[i] + offset) * e[i] + d[i] * (wv[i] + offset) * f[i];
    };
    if (valid && mine.rank < mine.units) {
      load(gu, gv, xu, xv, mine.rank);
      add(gu, gv, xu, xv, mine.rank);
    }
#pragma unroll 1
    for (int unit = mine.rank + lanes; valid && unit < mine.units; unit += lanes) {
      float c[N], d[N], e[N], f[N];
      load(c, d, e, f, unit);
      add(c, d, e, f, unit);
    }
    float scale = valid ? side.rstd[item] : 0;
    float slope = -scale * scale * (head_sum(dot, lanes) / static_cast<float>(dim));
#pragma unroll 1
    for (int unit = mine.rank; valid && unit < mine.units; unit += lanes) {
      if (unit != mine.rank) load(gu, gv, xu, xv, unit);
      if (partial != nullptr) {
        if (unit == mine.rank) {
#pragma unroll
          for (int i = 0; i < N; i++) {
            du[i] += gu[i] * (xu[i] * scale);
            dv[i] += gv[i] * (xv[i] * scale);
          }
        } else {  // a head has all lanes of the warp: this part of the row is this lane's own
          float c[N], d[N];
#pragma unroll
          for (int i = 0; i < N; i++) {
            c[i] = gu[i] * (xu[i] * scale);
            d[i] = gv[i] * (xv[i] * scale);
          }
          emit_unit(partial, unit, c, d, r, true);
        }
      }
      if (side.out.data == nullptr) continue;
      float wu[N], wv[N];
      load_unit(wu, wv, side.weight, unit, r);
#pragma unroll
      for (int i = 0; i < N; i++) {
        gu[i] = scale * (gu[i] * (wu[i] + offset) + slope * xu[i]);
        gv[i] = scale * (gv[i] * (wv[i] + offset) + slope * xv[i]);
      }
      emit_unit(side.out.at(b, t, h), unit, gu, gv, r, side.accumulate != 0);
    }
  }
  if (partial == nullptr) return;
  for (int step = lanes; step < kWarp; step *= 2) {
#pragma unroll
    for (int i = 0; i < N; i++) {
      du[i] += __shfl_xor_sync(0xffffffffu, du[i], step);
      dv[i] += __shfl_xor_sync(0xffffffffu, dv[i], step);
    }
  }
  if (mine.group == 0 && mine.rank < mine.units) emit_unit(partial, mine.rank, du, dv, r, false);
}

// The host says whether all layouts divide into vectors. `heads`: how many heads a warp has.
#define INSTANCE(T, suffix)                                                                                                             \
  KERNEL(rope_turn_##suffix,                                                                                                            \
         (const __grid_constant__ Sides<T> sides, const __grid_constant__ Angles r, float direction, int time, int dim, float eps, float offset,     \
          int heads, int lanes, int vectors),                                                                                           \
         kRowWarps * kWarp, 4) {                                                                                                        \
    if (vectors) {                                                                                                                      \
      rope_turn<T, kVecLength<T>>(sides, r, direction, time, dim, eps, offset, heads, lanes);                                           \
    } else {                                                                                                                            \
      rope_turn<T, 1>(sides, r, direction, time, dim, eps, offset, heads, lanes);                                                       \
    }                                                                                                                                   \
  }                                                                                                                                     \
  KERNEL(rope_backward_##suffix,                                                                                                        \
         (const __grid_constant__ Sides<T> sides, const __grid_constant__ Angles r, int64_t rows, int time, int dim, float offset, int64_t heads, \
          int lanes, int vectors),                                                                                                      \
         kRowWarps * kWarp) {                                                                                                           \
    if (vectors) {                                                                                                                      \
      rope_backward<T, kVecLength<T>>(sides, r, rows, time, dim, offset, heads, lanes);                                                 \
    } else {                                                                                                                            \
      rope_backward<T, 1>(sides, r, rows, time, dim, offset, heads, lanes);                                                             \
    }                                                                                                                                   \
  }
INSTANCE(float, f32)
INSTANCE(bf16, bf16)
INSTANCE(f16, f16)
