#include "mbarrier.h"

#include <cstdio>
#include <deque>

#include "bulk_copy.h"
#include "scheduler.h"

namespace emulator {
namespace mbarriers {

struct Known {
  const void* barrier;         // as Scheduler::common has it
  uint32_t thread, epoch;      // of its initialisation
  uint32_t fence = 0;          // the thread's epoch when it fenced that; 0: not yet
  const void* site;
  uint32_t actor = 0, phase = 1;
  clocks::Meeting arrivals, remote;        // of the phase under way: of the block's threads, and of others in its cluster
  clocks::Shared ended, endedForCluster;   // what those knew who arrived in phases that have ended: the block's, all
};

namespace {

std::deque<Known>& all() {
  static thread_local std::deque<Known>& known = *new std::deque<Known>;
  return known;
}

Known* find(const void* barrier) {
  if (!clocks::on) return nullptr;
  barrier = Scheduler::running()->common(barrier);
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
    clocks::Shared own = k->arrivals.end();
    k->ended.join(own);
    k->endedForCluster.join(own);
    k->endedForCluster.join(k->remote.end());
    k->phase++;
  }
  wake(Scheduler::running()->common(&b));
}

void arrive(Mbarrier& b, bool remote = false) {
  if (b.pending == 0) fail("mbarrier: more arrivals than the %u it was initialised for", b.expected);
  b.pending--;
  if (Known* k = find(&b)) (remote ? k->remote : k->arrivals).add(current->number);
  endPhaseIfComplete(b);
  preempt();
}

}  // namespace

void beginBlock() { all().clear(); }

namespace {

Mbarrier& checkInitialised(void* barrier, const char* instruction, const void* site) {
  require(90, instruction);
  if (reinterpret_cast<uintptr_t>(barrier) % 8 != 0) fail("%s: the barrier is not 8-byte aligned", instruction);
  if (clocks::on) {
    Known* k = find(barrier);
    if (k == nullptr) fail("%s%s: no mbarrier_init of this barrier came before", instruction, access_check::lineOf(site).c_str());
    if (!clocks::knows(current->number, k->thread, k->epoch)) {
      fail("%s%s: %s initialises this mbarrier%s: a barrier between them is missing", instruction, access_check::lineOf(site).c_str(),
           Scheduler::running()->nameOf(k->thread).c_str(), access_check::lineOf(k->site).c_str());
    }
  }
  return *static_cast<Mbarrier*>(barrier);
}

}  // namespace

Mbarrier& check(void* barrier, const char* instruction, const void* site) {
  uint32_t owner = Scheduler::running()->ownerOf(barrier);
  if (owner != blockOf(*current).rank) fail("%s: an mbarrier of block %u of the cluster: only its own threads may", instruction, owner);
  return checkInitialised(barrier, instruction, site);
}

void checkForCopy(void* barrier, const char* instruction, const void* site) {
  Mbarrier& b = checkInitialised(barrier, instruction, site);
  Known* k = find(&b);
  if (k == nullptr || (k->fence != 0 && clocks::knows(current->number, k->thread, k->fence))) return;
  fail("%s%s: %s initialised the mbarrier%s: fence_mbarrier_init is missing between that and the barrier after it", instruction, access_check::lineOf(site).c_str(),
       Scheduler::running()->nameOf(k->thread).c_str(), access_check::lineOf(k->site).c_str());
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
    *k = Known{Scheduler::running()->common(barrier), current->number, clocks::epoch(current->number), 0, __builtin_return_address(0), known, k->phase + (known != 0), {}, {}, {}, {}};
  }
  *static_cast<Mbarrier*>(barrier) = {static_cast<uint16_t>(arrivals), static_cast<uint16_t>(arrivals), 0};
}

void mbarrierArrive(void* barrier) { arrive(check(barrier, "mbarrier.arrive", __builtin_return_address(0))); }

void mbarrierArriveAt(void* barrier, uint32_t rank) {
  const void* site = __builtin_return_address(0);
  void* at = clusterMap(barrier, rank, "mbarrier.arrive.shared::cluster");
  if (rank == blockOf(*current).rank) {
    arrive(check(at, "mbarrier.arrive", site));
    return;
  }
  Scheduler& s = *Scheduler::running();
  s.requireRuns(rank, "arrives at an mbarrier");
  checkInitialised(at, "mbarrier.arrive.shared::cluster", site);
  // It must have come before that block may end: who arrives touches what is another's.
  if (clocks::on) s.touches(rank, {current->number, clocks::epoch(current->number), current->number, site, "arrive at its mbarrier"});
  arrive(*static_cast<Mbarrier*>(at), true);
}

void mbarrierExpect(void* barrier, uint32_t bytes) {
  Mbarrier& b = check(barrier, "mbarrier.arrive.expect_tx", __builtin_return_address(0));
  b.bytesAndParity += static_cast<int32_t>(bytes) * 2;
  arrive(b);
}

namespace {

bool test(Mbarrier& b, uint32_t parity, bool ofCluster = false) {
  if ((static_cast<uint32_t>(b.bytesAndParity) & 1) == (parity & 1)) return false;
  if (Known* k = find(&b)) clocks::acquire(current->number, ofCluster ? k->endedForCluster : k->ended);
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

void mbarrierWait(void* barrier, uint32_t parity, bool ofCluster) {
  Mbarrier& b = check(barrier, "mbarrier.try_wait", __builtin_return_address(0));
  preempt();
  while (!test(b, parity, ofCluster)) waitOn(Scheduler::running()->common(barrier));
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
  auto& b = *static_cast<const Mbarrier*>(Scheduler::running()->inSight(barrier));
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
