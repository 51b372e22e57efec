#include "clocks.h"

#include <algorithm>
#include <utility>

#include "scheduler.h"

namespace emulator::clocks {

__thread bool on = false;

namespace {

struct Thread {
  Shared clock;
  uint32_t epoch = 1, fenced = 0;
};

struct State {
  std::vector<Thread> threads{kMaxResident};
  std::vector<Clock*> spare;
  uint32_t count = 0, actors = 0;
  Shared mine, theirs, both;  // the last two that were joined, and what came of it: lanes of a warp do it one by one
};

// Reached by a pointer, since this library's own thread-local storage is scarce.
__thread State* here __attribute__((tls_model("initial-exec"))) = nullptr;

void raise(std::vector<uint32_t>& a, uint32_t at, uint32_t value) {
  if (value == 0) return;
  if (at >= a.size()) a.resize(at + 1);
  a[at] = std::max(a[at], value);
}

void raise(std::vector<uint32_t>& a, const std::vector<uint32_t>& b) {
  if (b.size() > a.size()) a.resize(b.size());
  for (size_t i = 0; i < b.size(); i++) a[i] = std::max(a[i], b[i]);
}

}  // namespace

void Shared::clear() {
  if (clock_ != nullptr && --clock_->references == 0) here->spare.push_back(clock_);
  clock_ = nullptr;
}

Clock& Shared::own() {
  if (clock_ != nullptr && clock_->references == 1) return *clock_;
  if (here->spare.empty()) here->spare.push_back(new Clock);
  Clock* copy = here->spare.back();
  here->spare.pop_back();
  if (clock_ != nullptr) {
    copy->seen = clock_->seen;
    copy->fenced = clock_->fenced;
    clock_->references--;
  } else {
    copy->seen.clear();
    copy->fenced.clear();
  }
  copy->references = 1;
  clock_ = copy;
  return *copy;
}

void Shared::see(uint32_t actor, uint32_t epoch) {
  if (seen(actor) < epoch) raise(own().seen, actor, epoch);
}

void Shared::fence(uint32_t actor, uint32_t epoch) {
  if (fenced(actor) < epoch) raise(own().fenced, actor, epoch);
}

void Shared::join(const Shared& other) {
  if (other.clock_ == nullptr || other.clock_ == clock_) return;
  if (clock_ == nullptr) {
    *this = other;
    return;
  }
  Clock& c = own();
  raise(c.seen, other.clock_->seen);
  raise(c.fenced, other.clock_->fenced);
}

void beginBlock(uint32_t threads, bool checked) {
  on = checked;
  if (!checked) return;
  if (here == nullptr) here = new State;
  State& s = *here;
  for (uint32_t i = 0; i < s.count; i++) s.threads[i] = {};
  s.mine.clear(), s.theirs.clear(), s.both.clear();
  s.count = threads;
  s.actors = threads + (threads + 31) / 32;
}

uint32_t wgmmaOf(uint32_t warp) { return here->count + warp; }

uint32_t newActor() { return here->actors++; }

uint32_t epoch(uint32_t thread) { return here->threads[thread].epoch; }

bool knows(uint32_t thread, uint32_t actor, uint32_t epoch) { return actor == thread || here->threads[thread].clock.seen(actor) >= epoch; }

bool knowsAny(uint32_t thread, uint32_t first, uint32_t count) {
  const Shared& clock = here->threads[thread].clock;
  for (uint32_t i = first; i < first + count; i++) {
    if (clock.seen(i) != 0) return true;
  }
  return false;
}

bool knowsFenced(uint32_t thread, uint32_t actor, uint32_t epoch) {
  const Thread& t = here->threads[thread];
  return (actor == thread ? t.fenced : t.clock.fenced(actor)) >= epoch;
}

void fenceProxy(uint32_t thread) {
  Thread& t = here->threads[thread];
  t.fenced = t.epoch++;
}

void Meeting::add(uint32_t thread) {
  Thread& t = here->threads[thread];
  if (!(t.clock == last_)) {  // most come with the clock of the one before
    all_.join(t.clock);
    last_ = t.clock;
  }
  all_.see(thread, t.epoch++);
  all_.fence(thread, t.fenced);
}

Shared Meeting::end() {
  last_.clear();
  Shared result = all_;
  all_.clear();
  return result;
}

void acquire(uint32_t thread, const Shared& from) {
  State& s = *here;
  Shared& clock = s.threads[thread].clock;
  if (!(s.mine == clock) || !(s.theirs == from)) {
    s.mine = clock;
    s.theirs = from;
    s.both = clock;
    s.both.join(from);
  }
  clock = s.both;
}

void adopt(uint32_t thread, const Shared& from) { here->threads[thread].clock = from; }

void see(uint32_t thread, uint32_t actor, uint32_t epoch) { here->threads[thread].clock.see(actor, epoch); }

void meet(uint32_t firstThread, uint32_t lanes) {
  State& s = *here;
  static thread_local Meeting& meeting = *new Meeting;
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) meeting.add(firstThread + static_cast<uint32_t>(__builtin_ctz(rest)));
  Shared all = meeting.end();
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) s.threads[firstThread + static_cast<uint32_t>(__builtin_ctz(rest))].clock = all;
}

}  // namespace emulator::clocks
