// wgmma.cpp: each warp issues its 16 rows of a product, and the four warps' are carried out together: at the latest at
// the first wait that covers them, so that a kernel which reads its accumulators, or refills its tiles, too early is
// wrong every time.
#include "wgmma.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "device/half.h"
#include "scheduler.h"
#include "tensor_map.h"
#include "tensor_sum.h"

namespace emulator {
namespace {

// The accumulators of a warp while products write to them: in the threads' own registers is NaN until the wait.
struct Accumulators {
  float* d[32];
  std::vector<float> values[32];
  uint32_t underway;  // products
};

// The instruction as a warp issued it: its 16 rows of the 64.
struct Product {
  Wgmma first;  // what all lanes agree on
  uint32_t fragment[32][4];
  uint32_t group;
  Accumulators* to;
  bool done;
};

struct InFlight {
  std::vector<Product> underway;
  uint32_t waited;  // how many are over: the number of the first that is under way
  std::vector<std::unique_ptr<Accumulators>> accumulators;
};

struct State {
  float a[16][16], b[16][256], d[16][256];  // operands and result of the product that is carried out
  InFlight warps[kMaxResident / 32];
  uint32_t done[kMaxResident / 128];  // products, by warpgroup
  uint32_t commits[kMaxResident];
  bool fenced[kMaxResident];
  uint32_t threads = 0;  // that the latest blocks had
};

// On the heap: this library's thread-local variables share a small reserve of the C library (static TLS).
State& state() {
  static thread_local State& s = *new State{};
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

void perform(Product& p, uint32_t warp) {
  auto& a = state().a;
  auto& b = state().b;
  auto& d = state().d;
  const Wgmma& w = p.first;
  Descriptor da(w.a), db(w.b);
  for (uint32_t i = 0; i < 16; i++) {
    for (uint32_t k = 0; k < 16; k++) {
      if (w.fragment == nullptr) {
        a[i][k] = element(da, w.type, w.transposedA, warp % 4 * 16 + i, k);
      } else {
        uint32_t r = p.fragment[i % 8 * 4 + k % 8 / 2][i / 8 + k / 8 * 2];
        auto bits = static_cast<uint16_t>(k % 2 == 0 ? r : r >> 16);
        a[i][k] = w.type == MmaType::bf16 ? bf16ToFloat(bits) : f16ToFloat(bits);
      }
    }
  }
  auto n = static_cast<uint32_t>(w.n);
  for (uint32_t k = 0; k < 16; k++) {
    for (uint32_t j = 0; j < n; j++) b[k][j] = element(db, w.type, w.transposedB, j, k);
  }
  bool truncates = tensorTruncates();
  for (int i = 0; i < 16 && !truncates; i++) {
    std::fill_n(d[i], n, 0.0f);
    for (int k = 0; k < 16; k++) {
      for (uint32_t j = 0; j < n; j++) d[i][j] += a[i][k] * b[k][j];
    }
  }
  for (int lane = 0; lane < 32; lane++) {
    for (int r = 0; r < w.n / 2; r++) {
      int row = lane / 4 + r % 4 / 2 * 8, column = r / 4 * 8 + lane % 4 * 2 + r % 2;
      float& to = p.to->values[lane][static_cast<size_t>(r)];
      if (truncates) {
        to = tensorSum(w.type, w.accumulate ? to : 0, a[row], &b[0][column], 256, 16);
      } else {
        to = w.accumulate ? to + d[row][column] : d[row][column];
      }
    }
  }
  p.done = true;
}

// For the race check: what the warp's share of the product reads, 16 bytes at a time.
void announce(const Product& p, uint32_t warp, const void* site) {
  if (!clocks::on) return;
  const Wgmma& w = p.first;
  auto reads = [&](const Descriptor& d, bool transposed, uint32_t first, uint32_t count) {
    for (uint32_t i = first; i < first + count; i += transposed ? 8 : 1) {
      for (uint32_t k = 0; k < 16; k += transposed ? 1 : 8) {
        auto at = static_cast<uint32_t>(swizzled(d.start + offset(d, transposed, i, k), 3));
        access_check::issue(access_check::Kind::wgmma, clocks::wgmmaOf(warp / 4), p.group + 1, current->block->shared + at, 16, site);
      }
    }
  };
  if (w.fragment == nullptr) reads(Descriptor(w.a), w.transposedA, warp % 4 * 16, 16);
  reads(Descriptor(w.b), w.transposedB, 0, static_cast<uint32_t>(w.n));
}

uint32_t issued(const InFlight& w) { return w.waited + static_cast<uint32_t>(w.underway.size()); }

// A product begins when the last of the four warps has issued it: they share its right operand.
uint32_t issuedByAll(const InFlight* group) { return std::min({issued(group[0]), issued(group[1]), issued(group[2]), issued(group[3])}); }

Product& product(InFlight& w, uint32_t number) { return w.underway[number - w.waited]; }

void performNext(uint32_t group) {
  uint32_t number = state().done[group]++;
  for (uint32_t w = group * 4; w < group * 4 + 4; w++) perform(product(state().warps[w], number), w);
}

struct Share {
  const Wgmma* w;
  const void* site;
};

// Values that are under way for these registers; those that were not are taken from the threads, which get NaN.
Accumulators& accumulators(InFlight& warp, void** arguments) {
  auto share = [&](int lane) -> const Share& { return *static_cast<Share*>(arguments[lane]); };
  for (auto& a : warp.accumulators) {
    if (a->d[0] == share(0).w->d) return *a;
  }
  auto a = std::make_unique<Accumulators>();
  for (int i = 0; i < 32; i++) {
    const Wgmma& w = *share(i).w;
    a->d[i] = w.d;
    a->values[i].assign(w.d, w.d + w.n / 2);
    memset(w.d, 0xff, sizeof(float) * static_cast<size_t>(w.n) / 2);
    access_check::lend(current->warp * 32u + static_cast<uint32_t>(i), w.d, sizeof(float) * static_cast<size_t>(w.n) / 2, share(i).site);
  }
  warp.accumulators.push_back(std::move(a));
  return *warp.accumulators.back();
}

void run(void** arguments, uint32_t lanes) {
  if (lanes != 0xffffffffu) fail("wgmma needs all 32 lanes of the warp, here are %08x", lanes);
  if (clocks::on) clocks::meet(current->warp * 32u, lanes);
  const Share& share = *static_cast<Share*>(arguments[0]);
  Product p{*share.w, {}, state().commits[current->number], nullptr, false};
  for (int i = 0; i < 32; i++) {
    const Wgmma& w = p.first;
    const Wgmma& other = *static_cast<Share*>(arguments[i])->w;
    bool alike = other.n == w.n && other.type == w.type && other.b == w.b && other.a == w.a && other.accumulate == w.accumulate;
    if (!alike) fail("wgmma: lanes 0 and %d of the warp give different descriptors or shapes", i);
    if (other.fragment != nullptr) memcpy(p.fragment[i], other.fragment, sizeof p.fragment[i]);
  }
  InFlight& warp = state().warps[current->warp];
  announce(p, current->warp, share.site);
  p.to = &accumulators(warp, arguments);
  p.to->underway++;
  warp.underway.push_back(p);
  InFlight* group = &state().warps[current->warp / 4 * 4];
  wake(group);
  uint32_t begun = issuedByAll(group);
  for (int w = 1; w < 4 && begun == issued(warp); w++) {  // the last warp of the four
    const Wgmma &x = product(group[0], begun - 1).first, &y = product(group[w], begun - 1).first;
    bool alike = x.n == y.n && x.type == y.type && x.b == y.b && x.a == y.a && x.accumulate == y.accumulate;
    if (!alike) fail("wgmma: warps 0 and %d of the warpgroup give different descriptors or shapes", w);
  }
  // They are done one after the other.
  while (state().done[current->warp / 4] < begun && happensNow()) performNext(current->warp / 4);
}

// How many of the warp's products have to be over for a wait for all but so many groups.
uint32_t covered(uint32_t groups) {
  const InFlight& warp = state().warps[current->warp];
  uint32_t number = warp.waited;
  for (const Product& p : warp.underway) number += p.group + groups < state().commits[current->number];
  return number;
}

void runWait(void** arguments, uint32_t) {
  State& s = state();
  InFlight& warp = s.warps[current->warp];
  uint32_t groups = *static_cast<uint32_t*>(arguments[0]), group = current->warp / 4u, last = covered(groups);
  while (s.done[group] < last) performNext(group);
  for (uint32_t n = warp.waited; n < last; n++) product(warp, n).to->underway--;
  warp.underway.erase(warp.underway.begin(), warp.underway.begin() + static_cast<ptrdiff_t>(last - warp.waited));
  warp.waited = last;
  for (size_t n = warp.accumulators.size(); n-- > 0;) {
    Accumulators& a = *warp.accumulators[n];
    if (a.underway != 0) continue;
    for (uint32_t i = 0; i < 32; i++) {
      memcpy(a.d[i], a.values[i].data(), sizeof(float) * a.values[i].size());
      access_check::giveBack(current->warp * 32u + i, a.d[i]);
    }
    warp.accumulators.erase(warp.accumulators.begin() + static_cast<ptrdiff_t>(n));
  }
  uint32_t commits = s.commits[current->number];
  if (!clocks::on || commits <= groups) return;
  for (uint32_t i = 0; i < 32; i++) clocks::see(current->warp * 32u + i, clocks::wgmmaOf(group), commits - groups);
}

constexpr Collective kWgmma{"wgmma.mma_async", run}, kWait{"wgmma.wait_group", runWait};

}  // namespace

void wgmma(const Wgmma& share) {
  require(90, "wgmma");
  uint32_t group = (current->number - blockOf(*current).first) / 128, threads = current->block->size.x * current->block->size.y * current->block->size.z;
  if ((group + 1) * 128 > threads) fail("wgmma: a warpgroup is four whole warps, this one has %u threads", threads - group * 128);
  if (!state().fenced[current->number]) fail("wgmma: no wgmma_fence since the accumulators may have been touched");
  for (uint64_t descriptor : {share.a, share.b}) {
    if (descriptor >> 62 != 1 && !(descriptor == share.a && share.fragment != nullptr)) fail("wgmma: only operands with 128-byte swizzle are emulated");
  }
  Share mine{&share, __builtin_return_address(0)};
  warpCollective(0xffffffffu, kWgmma, &mine);
  preempt();
}

void wgmmaFence() {
  require(90, "wgmma.fence");
  state().fenced[current->number] = true;
}

void wgmmaCommit() {
  require(90, "wgmma.commit_group");
  state().commits[current->number]++;
  preempt();
}

// A product is over for all four warps at once, so each waits until the others have issued it. What the race check
// knows: who waits for his share has waited for theirs.
void wgmmaWait(uint32_t groups) {
  require(90, "wgmma.wait_group");
  preempt();
  InFlight* group = &state().warps[current->warp / 4 * 4];
  while (issuedByAll(group) < covered(groups)) waitOn(group, Wait::products);
  warpCollective(0xffffffffu, kWait, &groups);
  state().fenced[current->number] = false;
}

uint64_t sharedOffset(const void* p) {
  requireShared(p, 16, "wgmma descriptor");
  return static_cast<uint64_t>(static_cast<const unsigned char*>(p) - current->block->shared);
}

namespace warpgroup {

void beginBlock(uint32_t threads) {
  State& s = state();
  uint32_t before = s.threads;
  for (uint32_t w = 0; w < (before + 31) / 32; w++) {
    s.warps[w].underway.clear();
    s.warps[w].waited = 0;
    s.warps[w].accumulators.clear();
  }
  std::fill_n(s.done, (before + 127) / 128, 0u);
  std::fill_n(s.commits, before, 0u);
  std::fill_n(s.fenced, before, false);
  s.threads = threads;
}

void threadEnded() {
  if (!state().warps[current->warp].underway.empty()) fail("ends while a wgmma of its warp is under way: wgmma_wait is missing");
}

}  // namespace warpgroup
}  // namespace emulator
