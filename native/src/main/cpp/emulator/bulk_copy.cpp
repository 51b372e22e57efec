#include "bulk_copy.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "mbarrier.h"
#include "scheduler.h"
#include "tensor_map.h"
#include "turns.h"

namespace emulator {
namespace {

using access_check::Kind;

struct Load {
  void* barrier;          // this and the next as Scheduler::common has them
  unsigned char* shared;
  uint32_t block;         // whose they are
  TensorMap map;  // as it was when the copy was issued; not valid: a plain copy of `bytes` from `global`
  const unsigned char* global;
  uint32_t bytes;
  int at[5];
  const void* site = nullptr;
  uint32_t thread = 0;
};

struct Free {
  void operator()(void* p) const { free(p); }
};

struct Store {
  TensorMap map;  // not valid: a plain copy, or an addition, to `global`
  unsigned char* global;
  uint32_t bytes;
  bool adds;
  const unsigned char* shared;
  int at[5];
  uint32_t thread, group;
  const void* site;
  std::unique_ptr<unsigned char, Free> tile;  // once it has been read
  bool written = false;
};

struct State {
  std::vector<Load> loads;
  std::vector<Store> stores;
  std::vector<uint32_t> group{std::vector<uint32_t>(kMaxResident)};  // by thread: how many store groups it committed
  std::vector<uint32_t> actor{std::vector<uint32_t>(kMaxResident)};  // by thread: what stands for its stores in clocks; 0: nothing yet
};

State& state() {
  static thread_local State& s = *new State;
  return s;
}

const TensorMap& checkMap(const void* map, int rank, const void* shared, const char* instruction) {
  require(90, instruction);
  auto& m = *static_cast<const TensorMap*>(map);
  if (reinterpret_cast<uintptr_t>(map) % 64 != 0) fail("%s: the tensor map is not 64-byte aligned: pass it as const __grid_constant__ TensorMap", instruction);
  if (!m.isValid()) fail("%s: this is no tensor map", instruction);
  if (static_cast<int>(m.rank) != rank) fail("%s: %d coordinates for a tensor map of rank %u", instruction, rank, m.rank);
  requireShared(shared, m.boxBytes(), instruction);
  size_t align = m.swizzle == 0 ? 128 : 128u << m.swizzle;  // the pattern repeats after 256, 512, 1024 bytes
  if (reinterpret_cast<uintptr_t>(shared) % align != 0) fail("%s: the tile in shared memory is not %zu-byte aligned", instruction, align);
  return m;
}

Load load(void* shared, void* barrier, const TensorMap& map, const unsigned char* global, uint32_t bytes, const void* site) {
  const Scheduler& s = *Scheduler::running();
  return {s.common(barrier), static_cast<unsigned char*>(s.common(shared)), s.ownerOf(shared), map, global, bytes, {}, site, current->number};
}

void setCoordinates(int (&at)[5], const int* coordinates, int rank) {
  for (int i = 0; i < rank; i++) at[i] = coordinates[i];
}

void arrive(size_t i) {
  auto& loads = state().loads;
  Load l = loads[i];
  loads.erase(loads.begin() + static_cast<ptrdiff_t>(i));
  const Scheduler& s = *Scheduler::running();
  auto* shared = static_cast<unsigned char*>(s.inSight(l.shared));
  if (l.map.isValid()) {
    l.map.load(shared, l.at);
  } else {
    memcpy(shared, l.global, l.bytes);
  }
  mbarriers::arrived(*static_cast<Mbarrier*>(s.inSight(l.barrier)), l.bytes);
}

// All copies of an instruction; each arrives when it will.
void issue(const std::vector<Load>& all) {
  Scheduler& s = *Scheduler::running();
  for (const Load& l : all) {
    auto& barrier = *static_cast<Mbarrier*>(s.inSight(l.barrier));
    void* shared = s.inSight(l.shared);
    uint32_t actor = mbarriers::actor(barrier), phase = mbarriers::phase(barrier);
    if (l.block != blockOf(*current).rank) s.requireRuns(l.block, "TMA load to shared memory");
    if (clocks::on) s.touches(l.block, {actor, phase, l.thread, l.site, "bring to its shared memory by a TMA load"});
    access_check::issue(Kind::tmaLoad, actor, phase, shared, l.bytes, l.site);
    memset(shared, 0xff, l.bytes);  // NaN until it arrives
    state().loads.push_back(l);
  }
  for (size_t first = state().loads.size() - all.size(), i = first; i < state().loads.size();) {
    if (happensNow()) {
      arrive(i);
    } else {
      i++;
    }
  }
  preempt();
}

void read(Store& s) {
  if (s.tile != nullptr) return;
  s.tile.reset(static_cast<unsigned char*>(aligned_alloc(1024, (s.bytes + 1023) / 1024 * 1024)));  // as swizzles ask for
  memcpy(s.tile.get(), s.shared, s.bytes);
}

void write(Store& s) {
  if (s.written) return;
  s.written = true;
  read(s);
  if (s.map.isValid()) {
    s.map.store(s.tile.get(), s.at);
    return;
  }
  turns::written(s.global, s.bytes);
  if (!s.adds) {
    memcpy(s.global, s.tile.get(), s.bytes);
    return;
  }
  auto to = reinterpret_cast<float*>(s.global);
  auto from = reinterpret_cast<const float*>(s.tile.get());
  for (uint32_t i = 0; i < s.bytes / 4; i++) to[i] += from[i];
}

void issue(Store s) {
  State& all = state();
  uint32_t thread = s.thread = current->number;
  s.group = all.group[thread];
  if (clocks::on && all.actor[thread] == 0) all.actor[thread] = clocks::newActor();
  access_check::issue(Kind::tmaStore, all.actor[thread], all.group[thread] + 1, s.shared, s.bytes, s.site);
  if (happensNow()) read(s);
  if (s.tile != nullptr && happensNow()) write(s);
  all.stores.push_back(std::move(s));
  preempt();
}

// Of the current thread's stores, those that a wait for all but so many groups covers.
template <class F>
void forCovered(uint32_t groups, F f) {
  State& s = state();
  uint32_t thread = current->number;
  for (Store& t : s.stores) {
    if (t.thread == thread && t.group + groups < s.group[thread]) f(t);
  }
  if (clocks::on && s.actor[thread] != 0 && s.group[thread] > groups) clocks::see(thread, s.actor[thread], s.group[thread] - groups);
}

}  // namespace

void bulkLoad(void* shared, const void* global, uint32_t bytes, void* barrier) {
  const void* site = __builtin_return_address(0);
  mbarriers::checkForCopy(barrier, "cp.async.bulk", site);
  if (((reinterpret_cast<uintptr_t>(shared) | reinterpret_cast<uintptr_t>(global) | bytes) & 15) != 0) fail("cp.async.bulk: addresses and size must be multiples of 16");
  issue({load(shared, barrier, {}, static_cast<const unsigned char*>(global), bytes, site)});
}

void tmaLoad(void* shared, const void* map, void* barrier, const int* coordinates, int rank) {
  const void* site = __builtin_return_address(0);
  mbarriers::checkForCopy(barrier, "TMA load", site);
  const TensorMap& m = checkMap(map, rank, shared, "TMA load");
  Load l = load(shared, barrier, m, nullptr, m.boxBytes(), site);
  setCoordinates(l.at, coordinates, rank);
  issue({l});
}

void tmaLoadMulticast(void* shared, const void* map, void* barrier, const int* coordinates, int rank, uint32_t blocks) {
  const void* site = __builtin_return_address(0);
  const TensorMap& m = checkMap(map, rank, shared, "TMA load");
  if (blocks == 0 || blocks >> clusterBlocks() != 0) fail("TMA load: the mask %x of its multicast in a cluster of %u blocks", blocks, clusterBlocks());
  std::vector<Load> all;
  for (uint32_t block = 0; block < clusterBlocks(); block++) {
    if ((blocks >> block & 1) == 0) continue;
    void* of = clusterMap(barrier, block, "TMA load");
    if (block != blockOf(*current).rank) Scheduler::running()->requireRuns(block, "TMA load on an mbarrier");
    mbarriers::checkForCopy(of, "TMA load", site);
    Load l = load(clusterMap(shared, block, "TMA load"), of, m, nullptr, m.boxBytes(), site);
    setCoordinates(l.at, coordinates, rank);
    all.push_back(l);
  }
  issue(all);
}

void tmaStore(const void* map, const void* shared, const int* coordinates, int rank) {
  const TensorMap& m = checkMap(map, rank, shared, "TMA store");
  Store t{};
  t.map = m;
  t.bytes = m.boxBytes();
  t.shared = static_cast<const unsigned char*>(shared);
  t.site = __builtin_return_address(0);
  setCoordinates(t.at, coordinates, rank);
  issue(std::move(t));
}

void bulkStore(void* global, const void* shared, uint32_t bytes, bool adds) {
  const char* instruction = adds ? "cp.reduce.async.bulk" : "cp.async.bulk";
  require(90, instruction);
  requireShared(shared, bytes, instruction);
  if (((reinterpret_cast<uintptr_t>(shared) | reinterpret_cast<uintptr_t>(global) | bytes) & 15) != 0) fail("%s: addresses and size must be multiples of 16", instruction);
  Store t{};
  t.global = static_cast<unsigned char*>(global);
  t.bytes = bytes;
  t.adds = adds;
  t.shared = static_cast<const unsigned char*>(shared);
  t.site = __builtin_return_address(0);
  turns::issued(global, bytes, t.site);
  issue(std::move(t));
}

void storeCommit() {
  require(90, "cp.async.bulk.commit_group");
  state().group[current->number]++;
  preempt();
}

void storeWaitRead(uint32_t groups) {
  require(90, "cp.async.bulk.wait_group.read");
  forCovered(groups, read);
  preempt();
}

void storeWait(uint32_t groups) {
  require(90, "cp.async.bulk.wait_group");
  State& s = state();
  forCovered(groups, write);
  s.stores.erase(std::remove_if(s.stores.begin(), s.stores.end(),
                                [&](const Store& t) { return t.thread == current->number && t.group + groups < s.group[t.thread]; }),
                 s.stores.end());
  preempt();
}

const void* turns::unfinishedStore() {
  for (const Store& t : state().stores) {
    if (t.thread == current->number) return t.site;
  }
  return nullptr;
}

namespace bulk {

void beginBlock() {
  State& s = state();
  s.loads.clear();
  s.stores.clear();
  std::fill(s.group.begin(), s.group.end(), 0);
  std::fill(s.actor.begin(), s.actor.end(), 0);
}

// Only the thread that issued a store can wait for it, and shared memory may be gone when it ends.
void threadEnded() {
  State& s = state();
  for (const Store& t : s.stores) {
    if (t.thread != current->number) continue;
    if (t.tile == nullptr || (clocks::on && !clocks::knows(t.thread, s.actor[t.thread], t.group + 1))) {
      fail("ends while a TMA store%s may still read shared memory: tma_store_wait_read is missing", access_check::lineOf(t.site).c_str());
    }
  }
}

void allEnded() {
  for (Store& t : state().stores) write(t);
  state().stores.clear();
}

// A copy under way would write to shared memory that is the next block's.
void blockEnded(uint32_t rank) {
  for (const Load& l : state().loads) {
    if (l.block != rank) continue;
    fail("ends while a TMA load of %s%s is on its way to the block's shared memory", Scheduler::running()->nameOf(l.thread).c_str(), access_check::lineOf(l.site).c_str());
  }
}

bool land() {
  auto& loads = state().loads;
  if (loads.empty()) return false;
  arrive(Scheduler::running()->choose(static_cast<uint32_t>(loads.size())));
  return true;
}

void landOn(const void* barrier) {
  auto& loads = state().loads;
  const void* common = Scheduler::running()->common(barrier);
  for (size_t i = 0; i < loads.size();) {
    if (loads[i].barrier == common) {
      arrive(i);
    } else {
      i++;
    }
  }
}

}  // namespace bulk
}  // namespace emulator
