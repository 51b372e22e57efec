#include "turns.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <vector>

#include "access_check.h"
#include "cluster.h"
#include "scheduler.h"

namespace emulator {
namespace turns {
namespace {

// By block: up to which of its epochs somebody knows it. An epoch of a block is the number of turns it has passed on.
using Knowledge = std::map<uint64_t, uint32_t>;

void join(Knowledge& to, const Knowledge& from) {
  for (auto [block, epoch] : from) {
    uint32_t& known = to[block];
    if (known < epoch) known = epoch;
  }
}

struct Written {
  uintptr_t end;
  uint64_t block;
  uint32_t epoch;
};

struct Waiter {
  const int* counter;
  int turn;
};

// Of the launch that runs. Never destroyed: helpers still wait when the process ends.
struct Launch {
  std::mutex mutex;
  std::condition_variable passed;
  std::map<const int*, Knowledge> released;
  std::map<uintptr_t, Written> written;  // by first byte
  std::vector<Waiter> waiters;
  size_t running = 0;  // operating system threads
};

Launch& ofLaunch = *new Launch;

// Of the block that this operating system thread runs.
struct Mine {
  uint64_t number = 0;
  uint32_t epoch = 1;
  Knowledge knows;
};

Mine& here() {
  static thread_local Mine& b = *new Mine;
  return b;
}

int load(const int* counter) {
  int now;
  __atomic_load(counter, &now, __ATOMIC_ACQUIRE);
  return now;
}

// Every operating system thread waits, none for a turn that has come.
bool nobodyGoesOn() {
  if (ofLaunch.waiters.size() < ofLaunch.running) return false;
  for (const Waiter& w : ofLaunch.waiters) {
    if (load(w.counter) >= w.turn) return false;
  }
  return true;
}

// The last block that wrote there, unless it is this one or its turn was waited for.
const Written* unordered(uintptr_t begin, uint32_t bytes) {
  Mine& me = here();
  auto next = ofLaunch.written.lower_bound(begin + bytes);
  while (next != ofLaunch.written.begin()) {
    --next;
    const Written& w = next->second;
    if (w.end <= begin) break;
    auto known = me.knows.find(w.block);
    if (w.block != me.number && (known == me.knows.end() || known->second < w.epoch)) return &w;
  }
  return nullptr;
}

}  // namespace

void beginLaunch() {
  std::lock_guard lock(ofLaunch.mutex);
  ofLaunch.released.clear();
  ofLaunch.written.clear();
}

void enter() {
  std::lock_guard lock(ofLaunch.mutex);
  ofLaunch.running++;
}

void leave() {
  std::lock_guard lock(ofLaunch.mutex);
  ofLaunch.running--;
  ofLaunch.passed.notify_all();
}

void beginBlock(uint64_t number) {
  Mine& b = here();
  b.number = number;
  b.epoch = 1;
  b.knows.clear();
}

void issued(const void* global, uint32_t bytes, const void* site) {
  std::unique_lock lock(ofLaunch.mutex);
  const Written* w = unordered(reinterpret_cast<uintptr_t>(global), bytes);
  if (w == nullptr) return;
  uint64_t block = w->block;
  lock.unlock();
  fail("a bulk copy%s writes where one of block %llu does, too: this block has not waited for that one's turn to pass", access_check::lineOf(site).c_str(),
       static_cast<unsigned long long>(block));
}

void written(const void* global, uint32_t bytes) {
  std::lock_guard lock(ofLaunch.mutex);
  auto begin = reinterpret_cast<uintptr_t>(global);
  ofLaunch.written[begin] = {begin + bytes, here().number, here().epoch};
}

}  // namespace turns

using namespace turns;

// What a block knows is kept for the operating system thread that runs it, which runs one block at a time.
static void refuseClusters() {
  if (clusterBlocks() > 1) fail("turns of blocks that form clusters are not emulated");
}

void turnWait(const int* counter, int turn) {
  require(90, "ld.acquire of a turn");
  refuseClusters();
  preempt();
  for (;;) {
    std::unique_lock lock(ofLaunch.mutex);
    int now = load(counter);
    if (now == turn) {
      join(here().knows, ofLaunch.released[counter]);
      return;
    }
    if (now > turn) {
      lock.unlock();
      fail("turn_wait: the counter is at turn %d already, this one was turn %d", now, turn);
    }
    ofLaunch.waiters.push_back({counter, turn});
    if (nobodyGoesOn()) {
      ofLaunch.waiters.pop_back();
      ofLaunch.passed.notify_all();
      lock.unlock();
      fail("deadlock: turn_wait for turn %d, the counter is at %d, and no block that runs can pass it on", turn, now);
    }
    ofLaunch.passed.wait(lock, [&] { return load(counter) >= turn || nobodyGoesOn(); });
    for (auto w = ofLaunch.waiters.begin(); w != ofLaunch.waiters.end(); ++w) {
      if (w->counter == counter && w->turn == turn) {
        ofLaunch.waiters.erase(w);
        break;
      }
    }
    lock.unlock();
    yield();
  }
}

void turnPass(int* counter, int next) {
  require(90, "st.release of a turn");
  refuseClusters();
  if (const void* site = unfinishedStore()) {
    fail("turn_pass while the bulk copy%s may still write: tma_store_wait is missing", access_check::lineOf(site).c_str());
  }
  {
    std::unique_lock lock(ofLaunch.mutex);
    int now = load(counter);
    if (now != next - 1) {
      lock.unlock();
      fail("turn_pass: the counter is at turn %d, the next one cannot be %d", now, next);
    }
    Mine& me = here();
    me.knows[me.number] = me.epoch++;
    join(ofLaunch.released[counter], me.knows);
    __atomic_store(counter, &next, __ATOMIC_RELEASE);
    ofLaunch.passed.notify_all();
  }
  preempt();
}

}  // namespace emulator
