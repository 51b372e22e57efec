// wgmma.cpp: products are put off to the wait that covers them, so that a kernel which reads its accumulators, or
// refills its tiles, too early is wrong every time.
#include "wgmma.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "device/half.h"
#include "scheduler.h"
#include "tensor_map.h"

namespace emulator {
namespace {

constexpr int kGroupThreads = 128;

// The instruction as the whole warpgroup issued it.
struct Product {
  Wgmma first;  // what all lanes agree on
  float* d[kGroupThreads];
  uint32_t fragment[kGroupThreads][4];
  uint32_t group;
};

struct Warpgroup {
  std::vector<std::unique_ptr<Product>> underway;
};

struct State {
  float a[64][16], b[16][256], d[64][256];  // operands and result of the product that is carried out
  Warpgroup groups[kMaxThreads / kGroupThreads];
  uint32_t commits[kMaxThreads];
  bool fenced[kMaxThreads];
};

// On the heap: this library's thread-local variables share a small reserve of the C library (static TLS).
State& state() {
  static thread_local State& s = *new State;
  return s;
}

// Fields of a matrix descriptor (PTX ISA, "Matrix descriptor format"), in bytes.
struct Descriptor {
  explicit Descriptor(uint64_t bits)
      : start((bits & 0x3fff) << 4), leading((bits >> 16 & 0x3fff) << 4), stride((bits >> 32 & 0x3fff) << 4), swizzle(static_cast<int>(bits >> 62)) {}
  uint32_t start, leading, stride;
  int swizzle;  // 0 none, 1: 128 bytes, 2: 64, 3: 32
};

// Offset of element (i, k) of a matrix with 128-byte swizzle, before swizzling.
// k fastest: rows of 64 k, eight of them 1024 bytes, the next eight `stride` further on.
//   i % 8 · 128 + i / 8 · stride + 2 k
// i fastest: rows of 64 i, eight k of them 1024 bytes, the next eight k `stride`, the next 64 i `leading` further on.
//   k % 8 · 128 + k / 8 · stride + i % 64 · 2 + i / 64 · leading
uint32_t offset(const Descriptor& d, bool transposed, uint32_t i, uint32_t k) {
  return transposed ? k % 8 * 128 + k / 8 * d.stride + i % 64 * 2 + i / 64 * d.leading : i % 8 * 128 + i / 8 * d.stride + k * 2;
}

float element(const Descriptor& d, MmaType type, bool transposed, uint32_t i, uint32_t k) {
  const Block& block = *current->block;
  auto at = static_cast<uint32_t>(swizzled(d.start + offset(d, transposed, i, k), 3));
  if (at + 2 > block.sharedBytes) fail("wgmma: an operand reaches byte %u of %u bytes of dynamic shared memory", at + 2, block.sharedBytes);
  uint16_t bits;
  memcpy(&bits, block.shared + at, 2);
  return type == MmaType::bf16 ? bf16ToFloat(bits) : f16ToFloat(bits);
}

void perform(const Product& p) {
  auto& a = state().a;
  auto& b = state().b;
  auto& d = state().d;
  const Wgmma& w = p.first;
  Descriptor da(w.a), db(w.b);
  for (uint32_t i = 0; i < 64; i++) {
    for (uint32_t k = 0; k < 16; k++) {
      if (w.fragment == nullptr) {
        a[i][k] = element(da, w.type, w.transposedA, i, k);
      } else {
        uint32_t r = p.fragment[i / 16 * 32 + i % 8 * 4 + k % 8 / 2][i % 16 / 8 + k / 8 * 2];
        auto bits = static_cast<uint16_t>(k % 2 == 0 ? r : r >> 16);
        a[i][k] = w.type == MmaType::bf16 ? bf16ToFloat(bits) : f16ToFloat(bits);
      }
    }
  }
  auto n = static_cast<uint32_t>(w.n);
  for (uint32_t k = 0; k < 16; k++) {
    for (uint32_t j = 0; j < n; j++) b[k][j] = element(db, w.type, w.transposedB, j, k);
  }
  for (int i = 0; i < 64; i++) {
    std::fill_n(d[i], n, 0.0f);
    for (int k = 0; k < 16; k++) {
      for (uint32_t j = 0; j < n; j++) d[i][j] += a[i][k] * b[k][j];
    }
  }
  for (int thread = 0; thread < kGroupThreads; thread++) {
    int row = thread / 32 * 16 + thread % 32 / 4, column = thread % 4 * 2;
    for (int r = 0; r < w.n / 2; r++) {
      float product = d[row + r % 4 / 2 * 8][r / 4 * 8 + column + r % 2];
      float& to = p.d[thread][r];
      to = w.accumulate ? to + product : product;
    }
  }
}

void run(void** arguments, uint32_t) {
  auto product = std::make_unique<Product>();
  product->first = *static_cast<Wgmma*>(arguments[0]);
  const Wgmma& w = product->first;
  for (int i = 0; i < kGroupThreads; i++) {
    const Wgmma& other = *static_cast<Wgmma*>(arguments[i]);
    bool alike = other.n == w.n && other.type == w.type && other.b == w.b && other.a == w.a && other.accumulate == w.accumulate;
    if (!alike) fail("wgmma: threads 0 and %d of the warpgroup give different descriptors or shapes", i);
    product->d[i] = other.d;
    if (other.fragment != nullptr) memcpy(product->fragment[i], other.fragment, sizeof product->fragment[i]);
  }
  product->group = state().commits[current->number];
  state().groups[current->warp / 4].underway.push_back(std::move(product));
}

constexpr Collective kWgmma{"wgmma.mma_async", run};

}  // namespace

void wgmma(const Wgmma& share) {
  require(90, "wgmma");
  if (!state().fenced[current->number]) fail("wgmma: no wgmma_fence since the accumulators may have been touched");
  for (uint64_t descriptor : {share.a, share.b}) {
    if (descriptor >> 62 != 1 && !(descriptor == share.a && share.fragment != nullptr)) fail("wgmma: only operands with 128-byte swizzle are emulated");
  }
  warpgroupCollective(kWgmma, const_cast<Wgmma*>(&share));
}

void wgmmaFence() {
  require(90, "wgmma.fence");
  state().fenced[current->number] = true;
}

void wgmmaCommit() {
  require(90, "wgmma.commit_group");
  state().commits[current->number]++;
}

// The first thread of the warpgroup that gets here carries out what the wait covers, for all.
void wgmmaWait(uint32_t groups) {
  require(90, "wgmma.wait_group");
  State& s = state();
  auto& underway = s.groups[current->warp / 4].underway;
  size_t done = 0;
  while (done < underway.size() && underway[done]->group + groups < s.commits[current->number]) perform(*underway[done++]);
  underway.erase(underway.begin(), underway.begin() + static_cast<ptrdiff_t>(done));
  s.fenced[current->number] = false;
}

uint64_t sharedOffset(const void* p) {
  requireShared(p, 16, "wgmma descriptor");
  return static_cast<uint64_t>(static_cast<const unsigned char*>(p) - current->block->shared);
}

namespace warpgroup {

void beginBlock() {
  State& s = state();
  for (Warpgroup& g : s.groups) g.underway.clear();
  std::fill(std::begin(s.commits), std::end(s.commits), 0u);
  std::fill(std::begin(s.fenced), std::end(s.fenced), false);
}

}  // namespace warpgroup
}  // namespace emulator
