#include "async.h"

#include <cstring>
#include <vector>

#include "scheduler.h"
#include "trace.h"

namespace emulator::async {
namespace {

struct Copy {
  void* shared;
  const void* global;
  uint32_t bytes, filled;
  uint32_t group;
  bool done = false;
};

struct Thread {
  std::vector<Copy> copies;
  uint32_t group = 0;
  uint64_t block = 0;  // the block it last belonged to
};

struct State {
  std::vector<Thread> threads{kMaxResident};
  uint64_t block = 0;
};

// By operating system thread, like the block itself.
State& state() {
  static thread_local State& s = *new State;
  return s;
}

Thread& mine() {
  State& s = state();
  Thread& t = s.threads[current->number];
  if (t.block != s.block) {
    t.copies.clear();
    t.group = 0;
    t.block = s.block;
  }
  return t;
}

void perform(Copy& c) {
  memcpy(c.shared, c.global, c.filled);
  memset(static_cast<unsigned char*>(c.shared) + c.filled, 0, c.bytes - c.filled);
  c.done = true;
}

}  // namespace

void beginBlock() { state().block++; }

void copy(void* shared, const void* global, uint32_t bytes, uint32_t filled) {
  require(80, "cp.async");
  if (((reinterpret_cast<uintptr_t>(shared) | reinterpret_cast<uintptr_t>(global)) & (bytes - 1)) != 0) {
    fail("cp.async of %u bytes: destination %p and source %p must be aligned to as many", bytes, shared, global);
  }
  if (filled > bytes) fail("cp.async of %u bytes: asked to copy %u", bytes, filled);
  if (trace::on) trace::copy(shared, global, filled, __builtin_return_address(0));
  Thread& t = mine();
  access_check::promise(shared, bytes, __builtin_return_address(0));
  Copy c{shared, global, bytes, filled, t.group};
  memset(shared, 0xff, bytes);
  if (happensNow()) perform(c);
  t.copies.push_back(c);
}

void commit() {
  mine().group++;
  preempt();
}

void wait(uint32_t groups) {
  Thread& t = mine();
  size_t kept = 0;
  for (Copy& c : t.copies) {
    if (c.group + groups < t.group) {
      access_check::keep(c.shared, c.bytes);
      if (!c.done) perform(c);
    } else {
      t.copies[kept++] = c;
    }
  }
  t.copies.resize(kept);
  preempt();
}

}  // namespace emulator::async
