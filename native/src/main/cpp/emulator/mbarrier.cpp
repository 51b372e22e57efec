#include "mbarrier.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "scheduler.h"
#include "tensor_map.h"

namespace emulator {
namespace {

// A copy from global to shared memory that has been asked for and has not been seen yet.
struct Load {
  Mbarrier* barrier;
  unsigned char* shared;
  TensorMap map;  // as it was when the copy was issued; not valid: a plain copy of `bytes` from `global`
  const unsigned char* global;
  uint32_t bytes;
  int at[5];
};

struct Store {
  TensorMap map;
  const unsigned char* shared;
  int at[5];
  uint32_t thread, group;
};

struct State {
  std::vector<Load> loads;
  std::vector<Store> stores;
  std::vector<uint32_t> group{std::vector<uint32_t>(kMaxThreads)};  // by thread: how many store groups it committed
};

State& state() {
  static thread_local State& s = *new State;
  return s;
}

Mbarrier& check(void* barrier, const char* instruction) {
  require(90, instruction);
  if (reinterpret_cast<uintptr_t>(barrier) % 8 != 0) fail("%s: the barrier is not 8-byte aligned", instruction);
  return *static_cast<Mbarrier*>(barrier);
}

void endPhaseIfComplete(Mbarrier& b) {
  if (b.pending != 0 || b.bytesAndParity >> 1 != 0) return;
  b.pending = b.expected;
  b.bytesAndParity = (b.bytesAndParity & 1) ^ 1;
  wake(&b);
}

void arrive(Mbarrier& b) {
  if (b.pending == 0) fail("mbarrier: more arrivals than the %u it was initialised for", b.expected);
  b.pending--;
  endPhaseIfComplete(b);
}

// What was asked for on this barrier arrives.
void land(Mbarrier& b) {
  auto& loads = state().loads;
  for (size_t i = 0; i < loads.size();) {
    if (loads[i].barrier != &b) {
      i++;
      continue;
    }
    Load l = loads[i];
    loads.erase(loads.begin() + static_cast<ptrdiff_t>(i));
    if (l.map.isValid()) {
      l.map.load(l.shared, l.at);
    } else {
      memcpy(l.shared, l.global, l.bytes);
    }
    b.bytesAndParity -= static_cast<int32_t>(l.bytes) * 2;
    endPhaseIfComplete(b);
  }
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

void setCoordinates(int (&at)[5], const int* coordinates, int rank) {
  for (int i = 0; i < rank; i++) at[i] = coordinates[i];
}

void perform(const Store& s) { s.map.store(s.shared, s.at); }

}  // namespace

void mbarrierInit(void* barrier, uint32_t arrivals) {
  Mbarrier& b = check(barrier, "mbarrier.init");
  if (arrivals == 0 || arrivals > 0xffff) fail("mbarrier.init: %u arrivals", arrivals);
  access_check::passedOther();
  b = {static_cast<uint16_t>(arrivals), static_cast<uint16_t>(arrivals), 0};
}

void mbarrierArrive(void* barrier) { arrive(check(barrier, "mbarrier.arrive")); }

void mbarrierExpect(void* barrier, uint32_t bytes) {
  Mbarrier& b = check(barrier, "mbarrier.arrive.expect_tx");
  b.bytesAndParity += static_cast<int32_t>(bytes) * 2;
  arrive(b);
}

bool mbarrierTest(void* barrier, uint32_t parity) {
  Mbarrier& b = check(barrier, "mbarrier.test_wait");
  land(b);
  return (static_cast<uint32_t>(b.bytesAndParity) & 1) != (parity & 1);
}

void mbarrierWait(void* barrier, uint32_t parity) {
  while (!mbarrierTest(barrier, parity)) waitOn(barrier);
}

void bulkLoad(void* shared, const void* global, uint32_t bytes, void* barrier) {
  Mbarrier& b = check(barrier, "cp.async.bulk");
  if (((reinterpret_cast<uintptr_t>(shared) | reinterpret_cast<uintptr_t>(global) | bytes) & 15) != 0) fail("cp.async.bulk: addresses and size must be multiples of 16");
  memset(shared, 0xff, bytes);
  state().loads.push_back({&b, static_cast<unsigned char*>(shared), {}, static_cast<const unsigned char*>(global), bytes, {}});
  wake(&b);  // whoever waits there looks again
}

void tmaLoad(void* shared, const void* map, void* barrier, const int* coordinates, int rank) {
  Mbarrier& b = check(barrier, "TMA load");
  const TensorMap& m = checkMap(map, rank, shared, "TMA load");
  memset(shared, 0xff, m.boxBytes());
  Load l{&b, static_cast<unsigned char*>(shared), m, nullptr, m.boxBytes(), {}};
  setCoordinates(l.at, coordinates, rank);
  state().loads.push_back(l);
  wake(&b);
}

void tmaStore(const void* map, const void* shared, const int* coordinates, int rank) {
  const TensorMap& m = checkMap(map, rank, shared, "TMA store");
  Store s{m, static_cast<const unsigned char*>(shared), {}, current->number, state().group[current->number]};
  setCoordinates(s.at, coordinates, rank);
  state().stores.push_back(s);
}

void storeCommit() {
  require(90, "cp.async.bulk.commit_group");
  state().group[current->number]++;
}

void storeWait(uint32_t groups) {
  require(90, "cp.async.bulk.wait_group");
  auto& stores = state().stores;
  for (size_t i = 0; i < stores.size();) {
    Store s = stores[i];
    if (s.thread != current->number || s.group + groups >= state().group[s.thread]) {
      i++;
      continue;
    }
    stores.erase(stores.begin() + static_cast<ptrdiff_t>(i));
    perform(s);
  }
}

namespace bulk {

void beginBlock() {
  State& s = state();
  s.loads.clear();
  s.stores.clear();
  std::fill(s.group.begin(), s.group.end(), 0);
}

void threadEnded() {
  if (!state().stores.empty()) {
    storeCommit();
    storeWait(0);
  }
}

}  // namespace bulk
}  // namespace emulator
