// linear_cross_entropy_hopper.cuh: the product of matmul_hopper.cuh whose results are logits that nobody keeps. What leaves
// a tile of x·wᵀ is one of three things, made of the sums where they stand, in registers:
//
//   TileStatistics   the largest logit of a row of the tile, the sum of its exponentials, the target's logit
//   TileGradient     the logits' gradient, from statistics of the whole row
//   TileWeights      e^(x - reference), whose sums are found on the way; scaling them by rows makes them the gradient
//
// Statistics of tiles are [tile columns, rows]; linear_cross_entropy_rows.cu adds them up in a fixed order.
// Marks (@name): as in matmul_hopper.cuh.
#pragma once
#include "cross_entropy.cuh"
#include "matmul_hopper.cuh"

constexpr float kLog2E = 1.442695041f;

// One of a thread's two rows in a tile of 64 x kN: sums[4j + 2·half + e] is its column 8j + 2·(lane%4) + e.
template <int kN>
struct RowOfTile {
  const int half, row, col;  // the row's number, and the tile's first column
  const bool inside;

  __device__ __forceinline__ RowOfTile(int half, int first_row, int col, int rows)
      : half(half), row(first_row + warp_index() % 4 * 16 + lane_index() / 4 + 8 * half), col(col), inside(row < rows) {}  // @row-of-lane

  template <class F>
  __device__ __forceinline__ void each(float (&sums)[kN / 2], F f) const {
#pragma unroll
    for (int i = 0; i < kN / 4; i++) f(sums[i / 2 * 4 + 2 * half + i % 2], i);
  }
  __device__ __forceinline__ int column(int i) const { return col + i / 2 * 8 + lane_index() % 4 * 2 + i % 2; }  // @column-of-lane
  // Whether column c of the row is this thread's.
  __device__ __forceinline__ bool owns(int c) const { return c >= col && c - col < kN && c % 8 / 2 == lane_index() % 4; }  // @owner
  // Over the four threads of the row.
  __device__ __forceinline__ static float add(float v) {
    v += __shfl_xor_sync(0xffffffffu, v, 1);         // @add-pairs
    return v + __shfl_xor_sync(0xffffffffu, v, 2);   // @add-quads
  }
  __device__ __forceinline__ static float largest(float v) {
    v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 1));         // @max-pairs
    return fmaxf(v, __shfl_xor_sync(0xffffffffu, v, 2));      // @max-quads
  }
};

// Sums become logits under the soft cap; -∞ where there is no column of the matrix. 32 at a time, as activate_in_turns.
template <int kN>
__device__ __forceinline__ void cap_and_clip(float (&sums)[kN / 2], int col, int cols, const Form& form) {
  if (form.soft_cap > 0) {
    float per_cap = 1.0f / form.soft_cap;
#pragma unroll 1
    for (int turn = 0; turn < kN / 64; turn++) {
      float v[32];
#pragma unroll
      for (int i = 0; i < 32; i++) v[i] = form.soft_cap * tanhf(sums[i] * per_cap);
#pragma unroll
      for (int i = 0; i < kN / 2; i++) sums[i] = i + 32 < kN / 2 ? sums[i + 32] : v[i + 32 - kN / 2];
    }
  }
  if (col + kN > cols) {  // @clip
    int left = cols - col - lane_index() % 4 * 2;
#pragma unroll
    for (int i = 0; i < kN / 2; i++) {
      if (i / 4 * 8 + i % 2 >= left) sums[i] = -INFINITY;
    }
  }
}

// Calls f with the slope of the soft cap at a capped logit: one branch for all of them.
template <class F>
__device__ __forceinline__ void with_slope(const Form& form, F f) {
  if (form.soft_cap > 0) {
    float per_cap = 1.0f / form.soft_cap;
    f([=](float x) { return 1.0f - x * per_cap * (x * per_cap); });  // @slope
  } else {
    f([](float) { return 1.0f; });
  }
}

// What a row of a tile leaves behind.
struct TileResults {
  float* partial;   // [tile columns, rows, 2] (reference, Σ e^(x - reference))
  float* totals;    // [tile columns, rows] Σ x; null without smoothing
  float* hits;      // [rows] the target's logit
  const int* targets;
  Form form;

  template <int kN>
  __device__ __forceinline__ void keep_hit(const RowOfTile<kN>& r, float (&sums)[kN / 2]) const {
    int target = r.inside ? targets[r.row] : -1;
    if (!r.owns(target)) return;
    float hit = 0;
    r.each(sums, [&](float x, int i) { hit = r.column(i) == target ? x : hit; });
    hits[r.row] = hit;  // @keep-hit
  }
  template <int kN>
  __device__ __forceinline__ void keep(const RowOfTile<kN>& r, const HopperProduct& p, float reference, float sum) const {
    if (r.inside && lane_index() % 4 == 0) store_vec(partial + 2 * (int64_t{r.col / kN} * p.m + r.row), Vec<float, 2>{{reference, sum}});  // @keep
  }
};

template <class Tile>
struct TileStatistics {
  const HopperProduct& p;
  TileResults to;

  __device__ __forceinline__ void operator()(float (&sums)[Tile::kN / 2], const TileOrder<Tile>& order, int row, Outbox<Tile::kBoxes>&) const {
    constexpr int kN = Tile::kN;
    cap_and_clip<kN>(sums, order.col, p.n, to.form);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      RowOfTile<kN> r(half, row, order.col, p.m);
      to.keep_hit(r, sums);
      float max[2] = {-INFINITY, -INFINITY}, sum[2] = {};
      r.each(sums, [&](float x, int i) { max[i % 2] = fmaxf(max[i % 2], x); });
      float highest = r.largest(fmaxf(max[0], max[1]));
      float base = -kLog2E * Exponentials::finite(highest);
      r.each(sums, [&](float x, int i) { sum[i % 2] += exp2_approx(fmaf(x, kLog2E, base)); });  // @exponential
      to.keep(r, p, highest, r.add(sum[0] + sum[1]));
      if (to.totals != nullptr) {
        float total = 0;
        r.each(sums, [&](float x, int i) { total += r.column(i) < p.n ? x : 0.0f; });  // @total
        total = r.add(total);
        if (r.inside && lane_index() % 4 == 0) to.totals[int64_t{order.col / kN} * p.m + r.row] = total;
      }
    }
  }
};

// dx[v] of cross_entropy.cuh's LogitGradient, rounded to T. In a row with the ignored target 0.
template <class Tile, class T>
struct TileGradient {
  const HopperProduct& p;
  const TensorMap* map;
  const float *dy, *stats;
  const int* targets;
  Form form;

  __device__ __forceinline__ void operator()(float (&sums)[Tile::kN / 2], const TileOrder<Tile>& order, int row, Outbox<Tile::kBoxes>& outbox) const {
    constexpr int kN = Tile::kN;
    cap_and_clip<kN>(sums, order.col, p.n, form);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      RowOfTile<kN> r(half, row, order.col, p.m);
      int target = r.inside ? targets[r.row] : form.ignore_index;
      LogitGradient g(r.inside ? dy[r.row] : 0.0f, r.inside ? stats[2 * r.row] : 0.0f, r.inside ? stats[2 * r.row + 1] : 1.0f, target, p.n, form);
      float base = -kLog2E * g.max;
      with_slope(form, [&](auto slope) {
        float hit = 0;
        if (r.owns(target)) r.each(sums, [&](float x, int i) { hit = r.column(i) == target ? g.hit * slope(x) : hit; });  // @hit
        r.each(sums, [&](float& x, int) { x = (exp2_approx(fmaf(x, kLog2E, base)) * g.factor - g.less) * slope(x); });    // @gradient
        if (r.owns(target)) r.each(sums, [&](float& x, int i) { x -= r.column(i) == target ? hit : 0.0f; });  // @hit-place
      });
      if (g.ignored) r.each(sums, [](float& x, int) { x = 0; });  // @ignored
    }
    outbox.template store<kN, T>(sums, map, row, order.col, 0);  // @gradient-store
  }
};

// weights[v] = e^(x[v] - reference), times the slope of the soft cap. Times a number of the row, and but for the target's,
// they are the gradient. In a row with the ignored target 0.
template <class Tile, class T>
struct TileWeights {
  const HopperProduct& p;
  const TensorMap* map;
  const float* references;  // [rows]
  TileResults to;

  __device__ __forceinline__ void operator()(float (&sums)[Tile::kN / 2], const TileOrder<Tile>& order, int row, Outbox<Tile::kBoxes>& outbox) const {
    constexpr int kN = Tile::kN;
    cap_and_clip<kN>(sums, order.col, p.n, to.form);
#pragma unroll
    for (int half = 0; half < 2; half++) {
      RowOfTile<kN> r(half, row, order.col, p.m);
      to.keep_hit(r, sums);
      float reference = r.inside ? references[r.row] : 0.0f, base = -kLog2E * reference, sum[2] = {};  // @reference
      bool ignored = !r.inside || to.targets[r.row] == to.form.ignore_index;
      with_slope(to.form, [&](auto slope) {
        r.each(sums, [&](float& x, int i) {
          float e = exp2_approx(fmaf(x, kLog2E, base));  // @weight
          sum[i % 2] += e;                               // @weight-sum
          x = e * slope(x);                              // @weight-slope
        });
      });
      if (ignored) r.each(sums, [](float& x, int) { x = 0; });  // @weight-ignored
      to.keep(r, p, reference, r.add(sum[0] + sum[1]));
    }
    outbox.template store<kN, T>(sums, map, row, order.col, 0);  // @weights-store
  }
};

#define LCE_PARAMETERS const __grid_constant__ TensorMap x, const __grid_constant__ TensorMap w, int rows, int cols, int k
#define LCE_FORM int ignore_index, float smoothing, float z_loss, float soft_cap
#define LCE_PRODUCT HopperProduct p{rows, cols, k, (k + 63) / 64 * 64, 1, 0, false, false, -1}
#define LCE_FORM_GIVEN Form{ignore_index, smoothing, z_loss, soft_cap}
// Of rows of logits x·wᵀ, each `cols` long.
#define LCE_STATISTICS_KERNEL(kN, T, suffix)                                                                                                       \
  KERNEL(linear_cross_entropy_hopper_statistics_##suffix,                                                                                          \
         (LCE_PARAMETERS, float* partial, float* totals, float* hits, const int* targets, LCE_FORM), (HopperTile<kN, 0>::kThreads), 1) {          \
    LCE_PRODUCT;                                                                                                                                   \
    using Tile = HopperTile<kN, 0>;                                                                                                                \
    matmul_hopper<Tile, false, true, T>(&x, &w, p, TileStatistics<Tile>{p, {partial, totals, hits, targets, LCE_FORM_GIVEN}});                     \
  }
#define LCE_GRADIENT_KERNEL(kN, T, suffix)                                                                                                         \
  KERNEL(linear_cross_entropy_hopper_gradient_##suffix,                                                                                            \
         (LCE_PARAMETERS, const __grid_constant__ TensorMap gradient, const float* dy, const float* stats, const int* targets, LCE_FORM),          \
         HopperTile<kN>::kThreads, 1) {                                                                                                            \
    LCE_PRODUCT;                                                                                                                                   \
    using Tile = HopperTile<kN>;                                                                                                                   \
    matmul_hopper<Tile, false, true, T>(&x, &w, p, TileGradient<Tile, T>{p, &gradient, dy, stats, targets, LCE_FORM_GIVEN});                       \
  }
#define LCE_WEIGHTS_KERNEL(kN, T, suffix)                                                                                                          \
  KERNEL(linear_cross_entropy_hopper_weights_##suffix,                                                                                             \
         (LCE_PARAMETERS, const __grid_constant__ TensorMap weights, const float* references, float* partial, float* hits, const int* targets,    \
          LCE_FORM),                                                                                                                               \
         HopperTile<kN>::kThreads, 1) {                                                                                                            \
    LCE_PRODUCT;                                                                                                                                   \
    using Tile = HopperTile<kN>;                                                                                                                   \
    matmul_hopper<Tile, false, true, T>(&x, &w, p, TileWeights<Tile, T>{p, &weights, references, {partial, nullptr, hits, targets, LCE_FORM_GIVEN}}); \
  }
