#include "warp_ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "scheduler.h"
#include "trace.h"

namespace emulator {
namespace {

// f(lane, argument of that lane), for each lane in the mask.
template <class T, class F>
void forLanes(void** arguments, uint32_t mask, F f) {
  for (; mask != 0; mask &= mask - 1) {
    int lane = __builtin_ctz(mask);
    f(static_cast<uint32_t>(lane), *static_cast<T*>(arguments[lane]));
  }
}

struct Shuffled {
  uint32_t source;
  size_t bytes;
  const void* value;
  unsigned char result[16];
};

void runShuffle(void** arguments, uint32_t mask) {
  forLanes<Shuffled>(arguments, mask, [&](uint32_t lane, Shuffled& s) {
    if ((mask >> s.source & 1) == 0) fail("shuffle: lane %u reads from lane %u, which is not in the mask %08x or has ended", lane, s.source, mask);
    memcpy(s.result, static_cast<Shuffled*>(arguments[s.source])->value, s.bytes);
  });
}

constexpr Collective kShuffles[] = {
    {"__shfl_sync", runShuffle}, {"__shfl_up_sync", runShuffle}, {"__shfl_down_sync", runShuffle}, {"__shfl_xor_sync", runShuffle}};

// Within segments of `width` lanes; a source beyond the segment means the lane itself, as PTX has it.
uint32_t sourceLane(uint32_t lane, Shuffle kind, uint32_t operand, uint32_t width) {
  uint32_t first = lane & ~(width - 1), within = lane - first;
  switch (kind) {
    case Shuffle::index: return first + (operand & (width - 1));
    case Shuffle::up: return within >= operand ? lane - operand : lane;
    case Shuffle::down: return within + operand < width ? lane + operand : lane;
    case Shuffle::exclusiveOr: {
      uint32_t source = lane ^ operand;
      return source < first + width ? source & 31 : lane;
    }
  }
  return lane;
}

struct Vote {
  bool predicate;
  uint32_t result;
};

constexpr Collective kBallot{"__ballot_sync", [](void** arguments, uint32_t mask) {
  uint32_t votes = 0;
  forLanes<Vote>(arguments, mask, [&](uint32_t lane, Vote& v) { votes |= uint32_t{v.predicate} << lane; });
  forLanes<Vote>(arguments, mask, [&](uint32_t, Vote& v) { v.result = votes; });
}};

struct Match {
  uint64_t value;
  uint32_t result;
};

constexpr Collective kMatch{"__match_any_sync", [](void** arguments, uint32_t mask) {
  forLanes<Match>(arguments, mask, [&](uint32_t, Match& m) {
    m.result = 0;
    forLanes<Match>(arguments, mask, [&](uint32_t lane, Match& other) { m.result |= uint32_t{other.value == m.value} << lane; });
  });
}};

struct Reduction {
  uint32_t value;
  Reduce kind;
};

uint32_t combine(uint32_t a, uint32_t b, Reduce kind) {
  auto sa = static_cast<int32_t>(a), sb = static_cast<int32_t>(b);
  switch (kind) {
    case Reduce::add: return a + b;
    case Reduce::minSigned: return static_cast<uint32_t>(std::min(sa, sb));
    case Reduce::maxSigned: return static_cast<uint32_t>(std::max(sa, sb));
    case Reduce::minUnsigned: return std::min(a, b);
    case Reduce::maxUnsigned: return std::max(a, b);
    case Reduce::bitAnd: return a & b;
    case Reduce::bitOr: return a | b;
    case Reduce::bitXor: return a ^ b;
  }
  return 0;
}

constexpr Collective kReduce{"__reduce_sync", [](void** arguments, uint32_t mask) {
  auto first = static_cast<uint32_t>(__builtin_ctz(mask));
  Reduction sum = *static_cast<Reduction*>(arguments[first]);
  forLanes<Reduction>(arguments, mask & (mask - 1), [&](uint32_t, Reduction& r) { sum.value = combine(sum.value, r.value, sum.kind); });
  forLanes<Reduction>(arguments, mask, [&](uint32_t, Reduction& r) { r.value = sum.value; });
}};

template <float (*combine)(float, float)>
void runButterfly(void** arguments, uint32_t mask) {
  if (mask != 0xffffffffu) fail("a sum over the warp needs all 32 lanes, here are %08x", mask);
  float now[32], then[32];
  for (int l = 0; l < 32; l++) now[l] = *static_cast<float*>(arguments[l]);
  for (int step = 16; step != 0; step /= 2) {
    for (int l = 0; l < 32; l++) then[l] = combine(now[l], now[l ^ step]);
    memcpy(now, then, sizeof now);
  }
  for (int l = 0; l < 32; l++) *static_cast<float*>(arguments[l]) = now[l];
}

float plus(float a, float b) { return a + b; }
float larger(float a, float b) { return fmaxf(a, b); }
float smaller(float a, float b) { return fminf(a, b); }

constexpr Collective kButterflies[] = {{"warp_sum", runButterfly<plus>}, {"warp_max", runButterfly<larger>}, {"warp_min", runButterfly<smaller>}};

constexpr Collective kSync{"__syncwarp", [](void**, uint32_t) {}};

// What the lane gave and got, for who called the function that this is inlined into.
inline __attribute__((always_inline)) void traced(const Collective& c, const void* given, size_t givenBytes, const void* got, size_t gotBytes) {
  if (__builtin_expect(trace::on, false)) trace::warp(c.name, given, givenBytes, got, gotBytes, __builtin_return_address(0));
}

}  // namespace

void syncWarp(uint32_t mask) {
  warpCollective(mask, kSync, nullptr);
  traced(kSync, nullptr, 0, nullptr, 0);
}

uint32_t liveLanes() { return Scheduler::running()->liveLanes(current->warp); }

void shuffle(uint32_t mask, void* value, size_t bytes, Shuffle kind, uint32_t operand, int width) {
  Shuffled s{sourceLane(current->lane, kind, operand, static_cast<uint32_t>(width)), bytes, value, {}};
  warpCollective(mask, kShuffles[static_cast<int>(kind)], &s);
  traced(kShuffles[static_cast<int>(kind)], value, bytes, s.result, bytes);
  memcpy(value, s.result, bytes);
}

uint32_t ballot(uint32_t mask, bool predicate) {
  Vote v{predicate, 0};
  warpCollective(mask, kBallot, &v);
  uint32_t given = predicate;
  traced(kBallot, &given, sizeof given, &v.result, sizeof v.result);
  return v.result;
}

uint32_t matchAny(uint32_t mask, uint64_t value) {
  Match m{value, 0};
  warpCollective(mask, kMatch, &m);
  traced(kMatch, &value, sizeof value, &m.result, sizeof m.result);
  return m.result;
}

uint32_t reduce(uint32_t mask, uint32_t value, Reduce kind) {
  Reduction r{value, kind};
  warpCollective(mask, kReduce, &r);
  traced(kReduce, &value, sizeof value, &r.value, sizeof r.value);
  return r.value;
}

float butterfly(float value, FloatReduce kind) {
  float given = value;
  warpCollective(0xffffffffu, kButterflies[static_cast<int>(kind)], &value);
  traced(kButterflies[static_cast<int>(kind)], &given, sizeof given, &value, sizeof value);
  return value;
}

}  // namespace emulator
