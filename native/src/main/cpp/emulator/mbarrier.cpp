#include "mbarrier.h"

#include <cstdio>
#include <deque>

#include "bulk_copy.h"
#include "scheduler.h"

namespace emulator {
namespace mbarriers {

struct Known {
  const void* barrier;
  uint32_t thread, epoch;      // of its initialisation
  uint32_t fence = 0;          // the thread's epoch when it fenced that; 0: not yet
  const void* site;
  uint32_t actor = 0, phase = 1;
  clocks::Meeting arrivals;    // of the phase under way
  clocks::Shared ended;        // what those knew who arrived in phases that have ended
};

namespace {

std::deque<Known>& all() {
  static thread_local std::deque<Known>& known = *new std::deque<Known>;
  return known;
}

Known* find(const void* barrier) {
  if (!clocks::on) return nullptr;
  for (Known& k : all()) {
    if (k.barrier == barrier) return &k;
  }
  return nullptr;
}

void endPhaseIfComplete(Mbarrier& b) {
  if (b.pending != 0 || b.bytesAndParity >> 1 != 0) return;
  b.pending = b.expected;
  b.bytesAndParity = (b.bytesAndParity & 1) ^ 1;
  if (Known* k = find(&b)) {
    k->ended.join(k->arrivals.end());
    k->phase++;
  }
  wake(&b);
}

void arrive(Mbarrier& b) {
  if (b.pending == 0) fail("mbarrier: more arrivals than the %u it was initialised for", b.expected);
  b.pending--;
  if (Known* k = find(&b)) k->arrivals.add(current->number);
  endPhaseIfComplete(b);
  preempt();
}

}  // namespace

void beginBlock() { all().clear(); }

Mbarrier& check(void* barrier, const char* instruction, const void* site) {
  require(90, instruction);
  if (reinterpret_cast<uintptr_t>(barrier) % 8 != 0) fail("%s: the barrier is not 8-byte aligned", instruction);
  if (clocks::on) {
    Known* k = find(barrier);
    if (k == nullptr) fail("%s%s: no mbarrier_init of this barrier came before", instruction, access_check::lineOf(site).c_str());
    if (!clocks::knows(current->number, k->thread, k->epoch)) {
      fail("%s%s: thread %u of the block initialises this mbarrier%s: a barrier between them is missing", instruction, access_check::lineOf(site).c_str(), k->thread,
           access_check::lineOf(k->site).c_str());
    }
  }
  return *static_cast<Mbarrier*>(barrier);
}

void checkForCopy(void* barrier, const char* instruction, const void* site) {
  Mbarrier& b = check(barrier, instruction, site);
  Known* k = find(&b);
  if (k == nullptr || (k->fence != 0 && clocks::knows(current->number, k->thread, k->fence))) return;
  fail("%s%s: thread %u of the block initialised the mbarrier%s: fence_mbarrier_init is missing between that and the barrier after it", instruction,
       access_check::lineOf(site).c_str(), k->thread, access_check::lineOf(k->site).c_str());
}

uint32_t actor(const Mbarrier& barrier) {
  Known* k = find(&barrier);
  if (k == nullptr) return 0;
  if (k->actor == 0) k->actor = clocks::newActor();
  return k->actor;
}

uint32_t phase(const Mbarrier& barrier) {
  Known* k = find(&barrier);
  return k == nullptr ? 0 : k->phase;
}

void arrived(Mbarrier& b, uint32_t bytes) {
  b.bytesAndParity -= static_cast<int32_t>(bytes) * 2;
  if (Known* k = find(&b)) k->arrivals.see(k->actor, k->phase);
  endPhaseIfComplete(b);
}

}  // namespace mbarriers

using namespace mbarriers;

void mbarrierInit(void* barrier, uint32_t arrivals) {
  require(90, "mbarrier.init");
  if (reinterpret_cast<uintptr_t>(barrier) % 8 != 0) fail("mbarrier.init: the barrier is not 8-byte aligned");
  if (arrivals == 0 || arrivals > 0xffff) fail("mbarrier.init: %u arrivals", arrivals);
  if (clocks::on) {
    Known* k = find(barrier);
    if (k == nullptr) k = &all().emplace_back();
    uint32_t known = k->actor;
    *k = Known{barrier, current->number, clocks::epoch(current->number), 0, __builtin_return_address(0), known, k->phase + (known != 0), {}, {}};
  }
  *static_cast<Mbarrier*>(barrier) = {static_cast<uint16_t>(arrivals), static_cast<uint16_t>(arrivals), 0};
}

void mbarrierArrive(void* barrier) { arrive(check(barrier, "mbarrier.arrive", __builtin_return_address(0))); }

void mbarrierExpect(void* barrier, uint32_t bytes) {
  Mbarrier& b = check(barrier, "mbarrier.arrive.expect_tx", __builtin_return_address(0));
  b.bytesAndParity += static_cast<int32_t>(bytes) * 2;
  arrive(b);
}

namespace {

bool test(Mbarrier& b, uint32_t parity) {
  if ((static_cast<uint32_t>(b.bytesAndParity) & 1) == (parity & 1)) return false;
  if (Known* k = find(&b)) clocks::acquire(current->number, k->ended);
  return true;
}

}  // namespace

bool mbarrierTest(void* barrier, uint32_t parity) {
  Mbarrier& b = check(barrier, "mbarrier.test_wait", __builtin_return_address(0));
  preempt();
  if (test(b, parity)) return true;
  bulk::landOn(&b);  // who polls sees it at some time
  return test(b, parity);
}

void mbarrierWait(void* barrier, uint32_t parity) {
  Mbarrier& b = check(barrier, "mbarrier.try_wait", __builtin_return_address(0));
  preempt();
  while (!test(b, parity)) waitOn(barrier);
}

void fenceMbarrierInit() {
  require(90, "fence.mbarrier_init");
  if (!clocks::on) return;
  for (Known& k : all()) {
    if (k.thread == current->number && k.fence == 0) k.fence = clocks::epoch(current->number);
  }
}

void fenceProxyAsync() {
  require(90, "fence.proxy.async");
  if (!clocks::on) return;
  fenceMbarrierInit();
  clocks::fenceProxy(current->number);
}

std::string describeMbarrier(const void* barrier) {
  auto& b = *static_cast<const Mbarrier*>(barrier);
  int bytes = b.bytesAndParity >> 1;
  char text[160] = "";
  if (b.pending != 0) {
    snprintf(text, sizeof text, ": %u of its %u arrivals are missing", b.pending, b.expected);
  } else if (bytes > 0) {
    snprintf(text, sizeof text, ": %d bytes more were announced than copies brought", bytes);
  } else if (bytes < 0) {
    snprintf(text, sizeof text, ": copies brought %d bytes more than were announced", -bytes);
  }
  return text;
}

}  // namespace emulator
