#include "tensor_core.h"

#include <cstring>

#include "access_check.h"
#include "device/half.h"
#include "runtime.h"
#include "tensor_sum.h"
#include "trace.h"

namespace emulator {
namespace {

float widen(MmaType type, uint16_t bits) { return type == MmaType::bf16 ? bf16ToFloat(bits) : f16ToFloat(bits); }

void requireWarp(uint32_t mask, const char* instruction) {
  if (mask != 0xffffffffu) fail("%s needs all 32 lanes of the warp, here are %08x", instruction, mask);
}

// mma.sync ----------------------------------------------------------------------------------------

struct Mma {
  float* d;
  const uint32_t *a, *b;
};

struct Tile {
  float a[16][16], b[16][8], d[16][8];
};

// Halves: a register holds two neighbours in k.
void gatherHalves(MmaType type, Tile& tile, const Mma& m, int g, int t) {
  for (int r = 0; r < 4; r++) {
    int row = g + r % 2 * 8, k = 2 * t + r / 2 * 8;
    tile.a[row][k] = widen(type, static_cast<uint16_t>(m.a[r]));
    tile.a[row][k + 1] = widen(type, static_cast<uint16_t>(m.a[r] >> 16));
  }
  for (int r = 0; r < 2; r++) {
    int k = 2 * t + r * 8;
    tile.b[k][g] = widen(type, static_cast<uint16_t>(m.b[r]));
    tile.b[k + 1][g] = widen(type, static_cast<uint16_t>(m.b[r] >> 16));
  }
}

// tf32: a register holds one element, of which the lowest 13 bits do not count.
void gatherTf32(Tile& tile, const Mma& m, int g, int t) {
  for (int r = 0; r < 4; r++) tile.a[g + r % 2 * 8][t + r / 2 * 4] = floatOf(m.a[r] & 0xffffe000);
  for (int r = 0; r < 2; r++) tile.b[t + r * 4][g] = floatOf(m.b[r] & 0xffffe000);
}

template <MmaType type>
void runMma(void** arguments, uint32_t mask) {
  requireWarp(mask, "mma.sync");
  constexpr int kDepth = type == MmaType::tf32 ? 8 : 16;
  Tile tile;
  for (int lane = 0; lane < 32; lane++) {
    const Mma& m = *static_cast<Mma*>(arguments[lane]);
    int g = lane / 4, t = lane % 4;
    if constexpr (type == MmaType::tf32) {
      gatherTf32(tile, m, g, t);
    } else {
      gatherHalves(type, tile, m, g, t);
    }
    for (int r = 0; r < 4; r++) tile.d[g + r / 2 * 8][2 * t + r % 2] = m.d[r];
  }
  for (int i = 0; i < 16; i++) {
    if (tensorTruncates()) {
      for (int j = 0; j < 8; j++) tile.d[i][j] = tensorSum(type, tile.d[i][j], tile.a[i], &tile.b[0][j], 8, kDepth);
      continue;
    }
    for (int k = 0; k < kDepth; k++) {
      for (int j = 0; j < 8; j++) tile.d[i][j] += tile.a[i][k] * tile.b[k][j];
    }
  }
  for (int lane = 0; lane < 32; lane++) {
    const Mma& m = *static_cast<Mma*>(arguments[lane]);
    for (int r = 0; r < 4; r++) m.d[r] = tile.d[lane / 4 + r / 2 * 8][2 * (lane % 4) + r % 2];
  }
}

constexpr Collective kMma[] = {{"mma.m16n8k16 bf16", runMma<MmaType::bf16>}, {"mma.m16n8k16 f16", runMma<MmaType::f16>}, {"mma.m16n8k8 tf32", runMma<MmaType::tf32>}};

// ldmatrix, stmatrix ------------------------------------------------------------------------------

struct Matrices {
  uint32_t* registers;
  uint16_t* row;  // lanes 8q … 8q + 7: the rows of matrix q
  const void* site;
};

Matrices& at(void** arguments, int lane) { return *static_cast<Matrices*>(arguments[lane]); }

void checkRows(void** arguments, int count, const char* instruction, bool write) {
  for (int lane = 0; lane < 8 * count; lane++) {
    const void* row = at(arguments, lane).row;
    if (reinterpret_cast<uintptr_t>(row) % 16 != 0) fail("%s: the row of lane %d is not 16-byte aligned", instruction, lane);
    access_check::access(current->warp * 32u + static_cast<uint32_t>(lane), row, 16, write, at(arguments, lane).site);
  }
}

// f(matrix, lane, the two 16-bit places in shared memory that its register stands for).
template <int count, bool transposed, class F>
void forFragments(void** arguments, F f) {
  for (int q = 0; q < count; q++) {
    for (int lane = 0; lane < 32; lane++) {
      int g = lane / 4, t = lane % 4;
      if (transposed) {
        f(q, lane, at(arguments, 8 * q + 2 * t).row[g], at(arguments, 8 * q + 2 * t + 1).row[g]);
      } else {
        uint16_t* row = at(arguments, 8 * q + g).row;
        f(q, lane, row[2 * t], row[2 * t + 1]);
      }
    }
  }
}

template <int count, bool transposed>
void runLoad(void** arguments, uint32_t mask) {
  requireWarp(mask, "ldmatrix");
  checkRows(arguments, count, "ldmatrix", false);
  forFragments<count, transposed>(arguments, [&](int q, int lane, uint16_t& low, uint16_t& high) { at(arguments, lane).registers[q] = low | uint32_t{high} << 16; });
}

template <int count, bool transposed>
void runStore(void** arguments, uint32_t mask) {
  requireWarp(mask, "stmatrix");
  checkRows(arguments, count, "stmatrix", true);
  forFragments<count, transposed>(arguments, [&](int q, int lane, uint16_t& low, uint16_t& high) {
    uint32_t r = at(arguments, lane).registers[q];
    low = static_cast<uint16_t>(r);
    high = static_cast<uint16_t>(r >> 16);
  });
}

// By count (1, 2, 4) and transposition.
constexpr Collective kLoads[3][2] = {{{"ldmatrix.x1", runLoad<1, false>}, {"ldmatrix.x1.trans", runLoad<1, true>}},
                                     {{"ldmatrix.x2", runLoad<2, false>}, {"ldmatrix.x2.trans", runLoad<2, true>}},
                                     {{"ldmatrix.x4", runLoad<4, false>}, {"ldmatrix.x4.trans", runLoad<4, true>}}};
constexpr Collective kStores[3][2] = {{{"stmatrix.x1", runStore<1, false>}, {"stmatrix.x1.trans", runStore<1, true>}},
                                      {{"stmatrix.x2", runStore<2, false>}, {"stmatrix.x2.trans", runStore<2, true>}},
                                      {{"stmatrix.x4", runStore<4, false>}, {"stmatrix.x4.trans", runStore<4, true>}}};

}  // namespace

void mma(MmaType type, float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  require(80, "mma.sync");
  Mma m{d, a, b};
  float given[4];
  memcpy(given, d, sizeof given);
  warpCollective(0xffffffffu, kMma[static_cast<int>(type)], &m);
  if (trace::on) trace::warp(kMma[static_cast<int>(type)].name, given, sizeof given, d, sizeof d, __builtin_return_address(0));
}

void loadMatrices(uint32_t* registers, int count, bool transposed, const void* row) {
  Matrices m{registers, static_cast<uint16_t*>(const_cast<void*>(row)), __builtin_return_address(0)};
  warpCollective(0xffffffffu, kLoads[count / 2][transposed], &m);
  if (trace::on) trace::warp(kLoads[count / 2][transposed].name, nullptr, 0, registers, sizeof(uint32_t) * static_cast<size_t>(count), __builtin_return_address(0));
}

void storeMatrices(void* row, const uint32_t* registers, int count, bool transposed) {
  require(90, "stmatrix");
  Matrices m{const_cast<uint32_t*>(registers), static_cast<uint16_t*>(row), __builtin_return_address(0)};
  warpCollective(0xffffffffu, kStores[count / 2][transposed], &m);
  if (trace::on) trace::warp(kStores[count / 2][transposed].name, registers, sizeof(uint32_t) * static_cast<size_t>(count), nullptr, 0, __builtin_return_address(0));
}

}  // namespace emulator
