#include "scheduler.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "async.h"
#include "banks.h"
#include "bulk_copy.h"
#include "mbarrier.h"
#include "trace.h"
#include "turns.h"
#include "wgmma.h"

namespace emulator {

__thread Fiber* current __attribute__((tls_model("initial-exec"))) = nullptr;
static __thread Scheduler* scheduler __attribute__((tls_model("initial-exec"))) = nullptr;

// Saves the callee-saved registers and the stack pointer of the caller, continues where `load` was saved. A fresh
// fiber's stack holds six zeros and the address of its first function, so the same instructions start it.
extern "C" void javelin_emulator_switch(void** save, void* load);
asm(R"(
.text
.globl javelin_emulator_switch
.hidden javelin_emulator_switch
.type javelin_emulator_switch, @function
javelin_emulator_switch:
  .cfi_startproc
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
  .cfi_endproc
.size javelin_emulator_switch, .-javelin_emulator_switch
)");

namespace {

constexpr uint32_t kRegisters = 65536;  // of a multiprocessor
constexpr size_t kStackBytes = 64 * 1024;
constexpr uint64_t kCanary = 0x7c15f39cc0605ced;

// The lowest word of each stack: overwritten means that a thread's locals ran over.
uint64_t& canary(void* stackTop) {
  auto top = reinterpret_cast<uintptr_t>(stackTop);
  return *reinterpret_cast<uint64_t*>((top - 1) / kStackBytes * kStackBytes);
}

uint32_t draw(uint64_t& state) {
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return static_cast<uint32_t>(state >> 32);
}

}  // namespace

Scheduler& Scheduler::here() {
  if (scheduler == nullptr) scheduler = new Scheduler();  // lives as long as the process, as its thread may
  return *scheduler;
}

Scheduler* Scheduler::running() { return current == nullptr ? nullptr : scheduler; }

Scheduler::Scheduler() : fibers_(kMaxResident) {
  size_t bytes = kStackBytes * kMaxResident;
  void* p = mmap(nullptr, bytes + kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  auto aligned = (reinterpret_cast<uintptr_t>(p) + kStackBytes - 1) / kStackBytes * kStackBytes;
  stacks_ = reinterpret_cast<unsigned char*>(aligned);
  for (uint32_t i = 0; i < kMaxResident; i++) {
    Fiber& f = fibers_[i];
    f.number = static_cast<uint16_t>(i);
    f.warp = static_cast<uint16_t>(i / 32);
    f.lane = static_cast<uint16_t>(i % 32);
  }
}

bool Scheduler::run(const LaunchRequest& r, uint64_t n) {
  kernel_ = r.kernel;
  parameters_ = r.parameters;
  failed_ = false;
  order_ = settings().order;
  asyncRandom_ = (settings().asyncSeed + 1) * 0x94d049bb133111eb ^ (n + 1) * 0x9e3779b97f4a7c15;
  random_ = (settings().seed + 1) * 0x9e3779b97f4a7c15 ^ (n + 1) * 0xbf58476d1ce4e5b9;
  beginCluster(r, n);
  freeStacks_.clear();
  for (uint32_t i = live_; i-- > 0;) {
    // Shifted against each other, so that the hot ends of the stacks do not fall into the same few cache lines.
    freeStacks_.push_back(stacks_ + kStackBytes * (i + 1) - i % 61 * 64);
  }
  for (uint32_t w = 0; w < warps_; w++) {
    uint32_t within = withinBlock(w * 32), lanes = within < threads_ ? lanesOf(threads_, within / 32) : 0;
    warp_[w] = {lanes, lanes, 0, 0};
  }
  for (uint32_t i = 0; i < clusterBlocks_ * kBarriers; i++) barrier_[i] = {};
  std::fill_n(warpgroupArrived_, (slots_ + 127) / 128, 0u);
  // A block is given as many registers as its launch bounds leave each thread, in steps of eight.
  uint32_t bound = r.kernel->maxThreads * r.kernel->minBlocks;
  launchRegisters_ = std::min(256u, kRegisters / bound / 8 * 8);
  std::fill_n(registers_, (slots_ + 127) / 128, launchRegisters_);
  std::fill_n(wanted_, (slots_ + 127) / 128, 0u);
  access_check::beginBlock(slots_, clusterBlocks_);
  async::beginBlock();
  mbarriers::beginBlock();
  bulk::beginBlock();
  turns::beginBlock(n);
  warpgroup::beginBlock(slots_);
  Fiber& first = next(order_ == Order::reverse ? warps_ - 1 : 0);
  prepare(first);
  enter(first);
  javelin_emulator_switch(&mainStackPointer_, first.stackPointer);
  current = nullptr;
  trace::on = false;
  if (banks::isOn()) banks::endBlock();
  blocksRun_++;
  return !failed_;
}

// Fibers ------------------------------------------------------------------------------------------

// A thread gets its stack when it first runs. One that ends hands its stack, still warm, to the next that has not
// begun, so a kernel without barriers runs all its threads on one stack and never switches.
void Scheduler::fiberMain() {
  for (;;) {
    Scheduler& s = *scheduler;
    current->wait = Wait::nothing;
    s.kernel_->invoke(s.parameters_);
    s.fiberEnded();
    Fiber& ended = *current;
    Fiber& next = s.next(ended.warp);
    Warp& w = s.warp_[next.warp];
    if (w.started >> next.lane & 1) {
      s.freeStacks_.push_back(ended.stackTop);
      s.enter(next);
      void* ignored;
      javelin_emulator_switch(&ignored, next.stackPointer);
    }
    w.started |= 1u << next.lane;
    next.stackTop = ended.stackTop;
    s.enter(next);
  }
}

void Scheduler::fiberEnded() {
  Fiber& f = *current;
  if (canary(f.stackTop) != kCanary) fail("its local variables overflow the emulated stack of %zu KiB", kStackBytes / 1024);
  bulk::threadEnded();
  warpgroup::threadEnded();
  if (clocks::on) barrierOf(0).clocks.add(f.number);  // __syncthreads does not wait for it, but comes after it
  if (trace::on) trace::settle();
  Warp& w = warp_[f.warp];
  w.live &= ~(1u << f.lane);
  w.runnable &= ~(1u << f.lane);
  live_--;
  if (arrivedIn_[f.number] == clusterPhase_) clusterArrived_--;  // the cluster's barrier does not wait for it either
  if (--liveOf_[blockOf(f).rank] == 0) blockEnded(blockOf(f));
  if (live_ == 0) {
    bulk::allEnded();
    void* ignored;
    javelin_emulator_switch(&ignored, mainStackPointer_);
  }
  for (uint32_t i = 0; i < kBarriers; i++) {
    Barrier& b = barrierOf(i);
    if (b.arrived != 0 && b.expected == 0) releaseIfComplete(b, false);
  }
  releaseClusterIfComplete();
}

void Scheduler::prepare(Fiber& f) {
  Warp& w = warp_[f.warp];
  if (w.started >> f.lane & 1) return;
  w.started |= 1u << f.lane;
  f.stackTop = freeStacks_.back();
  freeStacks_.pop_back();
  canary(f.stackTop) = kCanary;
  auto sp = static_cast<void**>(f.stackTop);
  *--sp = nullptr;  // the return address of fiberMain: there is none, and it keeps the stack aligned as a call would
  *--sp = reinterpret_cast<void*>(&fiberMain);
  for (int i = 0; i < 6; i++) *--sp = nullptr;
  f.stackPointer = sp;
}

void Scheduler::switchTo(Fiber& next) {
  Fiber& self = *current;
  if (&next == &self) return;
  prepare(next);
  enter(next);
  javelin_emulator_switch(&self.stackPointer, next.stackPointer);
}

void Scheduler::stop(Fiber& f) { warp_[f.warp].runnable &= ~(1u << f.lane); }

void Scheduler::start(Fiber& f) {
  f.wait = Wait::nothing;
  warp_[f.warp].runnable |= 1u << f.lane;
}

void Scheduler::block(Wait wait) {
  if (trace::on) trace::settle();
  current->wait = wait;
  stop(*current);
  switchTo(next(current->warp));
}

// Order -------------------------------------------------------------------------------------------

uint32_t Scheduler::pick(uint32_t lanes) {
  if (order_ == Order::forward) return static_cast<uint32_t>(__builtin_ctz(lanes));
  if (order_ == Order::reverse) return static_cast<uint32_t>(31 - __builtin_clz(lanes));
  for (uint32_t skip = draw(random_) % static_cast<uint32_t>(__builtin_popcount(lanes)); skip != 0; skip--) {
    lanes &= lanes - 1;
  }
  return static_cast<uint32_t>(__builtin_ctz(lanes));
}

// The warp that goes on when `warp` cannot, or in random order at any time: the first with a runnable lane.
uint32_t Scheduler::pickWarp(uint32_t warp) {
  uint32_t step = order_ == Order::reverse ? warps_ - 1 : 1;
  do {
    for (uint32_t i = 0; i < warps_; i++, warp = (warp + step) % warps_) {
      if (warp_[warp].runnable != 0) return warp;
    }
  } while (bulk::land());
  deadlock();
}

Fiber& Scheduler::next(uint32_t warp) {
  if (order_ == Order::random) {
    warp = draw(random_) % warps_;
  }
  if (__builtin_expect(warp_[warp].runnable == 0, 0)) warp = pickWarp(warp);
  return fibers_[warp * 32 + pick(warp_[warp].runnable)];
}

// Waiting -----------------------------------------------------------------------------------------

// `waits`: the current thread is one of those that wait there.
bool Scheduler::releaseIfComplete(Barrier& b, bool waits) {
  auto block = static_cast<uint32_t>(&b - barrier_) / kBarriers;
  if (b.arrived != (b.expected != 0 ? b.expected : liveOf_[block])) return false;
  clocks::Shared clock = b.clocks.end();
  if (clocks::on && waits) clocks::adopt(current->number, clock);
  b.last = {b.truths, b.arrived};
  b.arrived = b.truths = b.expected = 0;
  for (uint32_t w = 0; w < (threads_ + 31) / 32; w++) {
    for (uint32_t lanes = b.waiting[w]; lanes != 0; lanes &= lanes - 1) {
      Fiber& f = fibers_[block * stride_ + w * 32 + static_cast<uint32_t>(__builtin_ctz(lanes))];
      if (clocks::on) clocks::adopt(f.number, clock);
      start(f);
    }
    b.waiting[w] = 0;
  }
  return true;
}

void Scheduler::arrive(Barrier& b, uint32_t number, uint32_t threads, bool predicate) {
  if (b.arrived != 0 && b.expected != threads) {
    fail("meets others at barrier %u, which wait there for %u threads, not %u", number, b.expected, threads);
  }
  b.expected = threads;
  b.arrived++;
  b.truths += predicate;
  if (clocks::on) b.clocks.add(current->number);
}

Arrivals Scheduler::barrier(uint32_t number, uint32_t threads, bool predicate) {
  Barrier& b = barrierOf(number);
  arrive(b, number, threads, predicate);
  if (!releaseIfComplete(b, true)) {
    b.waiting[withinBlock(current->number) / 32] |= 1u << current->lane;
    current->barrier = static_cast<uint8_t>(number);
    block(Wait::barrier);
  }
  return b.last;
}

void Scheduler::barrierArrive(uint32_t number, uint32_t threads) {
  Barrier& b = barrierOf(number);
  arrive(b, number, threads, false);
  releaseIfComplete(b, false);
}

void Scheduler::warpCollective(uint32_t mask, const Collective& operation, void* argument) {
  Fiber& self = *current;
  Warp& w = warp_[self.warp];
  uint32_t bit = 1u << self.lane;
  if ((mask & bit) == 0) fail("%s: the calling lane %u is not in its mask %08x", operation.name, self.lane, mask);
  mask &= lanesOf(threads_, withinBlock(self.number) / 32);
  self.argument = argument;
  self.mask = mask;
  self.operation = &operation;
  w.arrived |= bit;
  if ((w.arrived & mask) != mask) {
    block(Wait::warp);
    return;
  }
  void* arguments[32];
  Fiber* lanes = &fibers_[self.warp * 32];
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    auto l = static_cast<uint32_t>(__builtin_ctz(rest));
    if (lanes[l].operation != &operation || lanes[l].mask != mask) {
      fail("warp %u diverged: lane %u is in %s with mask %08x, lane %u in %s with mask %08x", withinBlock(self.number) / 32, self.lane, operation.name,
           mask, l, lanes[l].operation->name, lanes[l].mask);
    }
    arguments[l] = lanes[l].argument;
  }
  operation.run(arguments, mask);
  if (clocks::on && !isClusterBarrier(operation)) clocks::meet(self.warp * 32u, mask);
  w.arrived &= ~mask;
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) lanes[__builtin_ctz(rest)].wait = Wait::nothing;
  w.runnable |= mask;
}

void Scheduler::warpgroupCollective(const Collective& operation, void* argument) {
  Fiber& self = *current;
  uint32_t group = self.warp / 4;
  if ((groupOf(self) + 1) * 128 > threads_) fail("%s: a warpgroup is four whole warps, this one has %u threads", operation.name, threads_ - groupOf(self) * 128);
  self.argument = argument;
  self.operation = &operation;
  if (++warpgroupArrived_[group] < 128) {
    block(Wait::warpgroup);
    return;
  }
  void* arguments[128];
  Fiber* threads = &fibers_[group * 128];
  for (uint32_t i = 0; i < 128; i++) {
    if (threads[i].operation != &operation) {
      fail("warpgroup %u diverged: this thread is in %s, thread %u of the group in %s", groupOf(self), operation.name, i, threads[i].operation->name);
    }
    arguments[i] = threads[i].argument;
  }
  operation.run(arguments, 0xffffffffu);
  warpgroupArrived_[group] = 0;
  for (uint32_t i = 0; i < 128; i++) start(threads[i]);
}

// To the next runnable thread in number, wherever it is: a thread that polls must not starve the one it polls for.
void Scheduler::yield() {
  if (trace::on) trace::settle();
  for (uint32_t i = 1; i < slots_; i++) {
    Fiber& f = fibers_[(current->number + i) % slots_];
    if (warp_[f.warp].runnable >> f.lane & 1) {
      switchTo(f);
      return;
    }
  }
}

// Asynchronous work may be done by the time the instruction that asks for it has been issued.
bool Scheduler::happensNow() {
  Async a = settings().async;
  return a == Async::early || (a == Async::random && draw(asyncRandom_) % 4 == 0);
}

uint32_t Scheduler::choose(uint32_t n) { return settings().async == Async::random ? draw(asyncRandom_) % n : 0; }

// The hardware may stop a warp anywhere; here it may where a thread has announced or asked for something.
void Scheduler::preempt() {
  if (settings().async != Async::random) return;
  if (draw(asyncRandom_) % 4 == 0) bulk::land();
  if (draw(asyncRandom_) % 2 != 0) return;
  if (trace::on) trace::settle();
  uint32_t warp = draw(asyncRandom_) % warps_;
  if (warp_[warp].runnable != 0) switchTo(fibers_[warp * 32 + pick(warp_[warp].runnable)]);
}

namespace {

// setmaxnreg by one thread of a warpgroup.
struct Registers {
  uint32_t perThread;
  bool granted;
};

void wantRegisters(void** arguments, uint32_t) {
  uint32_t perThread = static_cast<Registers*>(arguments[0])->perThread;
  for (int i = 1; i < 128; i++) {
    uint32_t other = static_cast<Registers*>(arguments[i])->perThread;
    if (other != perThread) fail("setmaxnreg: threads 0 and %d of the warpgroup ask for %u and %u registers", i, perThread, other);
  }
  Scheduler::running()->wantRegisters(perThread);
}

constexpr Collective kDecrease{"setmaxnreg.dec", wantRegisters}, kIncrease{"setmaxnreg.inc", wantRegisters};

}  // namespace

// The last thread of the warpgroup to arrive gives back or takes registers for all; where there are not enough, all wait.
void Scheduler::setRegisters(uint32_t perThread, bool more) {
  const Collective& c = more ? kIncrease : kDecrease;
  uint32_t& has = registers_[current->warp / 4];
  // ptxas gives a kernel no more to begin with than its largest increase.
  if (more && has == launchRegisters_) has = std::min(has, perThread);
  if (more ? perThread < has : perThread > has) fail("%s to %u registers a thread: the warpgroup has %u", c.name, perThread, has);
  Registers mine{perThread, false};
  warpgroupCollective(c, &mine);
  while (!mine.granted) block(Wait::registers);
}

void Scheduler::wantRegisters(uint32_t perThread) {
  wanted_[current->warp / 4] = perThread;
  uint32_t first = blockOf(*current).first / 128, last = first + threads_ / 128;
  uint32_t& pool = registerPool_[blockOf(*current).rank];
  for (uint32_t g = first; g < last; g++) {
    if (wanted_[g] == 0 || wanted_[g] > registers_[g] + pool) continue;
    pool = pool + registers_[g] - wanted_[g];
    registers_[g] = wanted_[g];
    wanted_[g] = 0;
    for (uint32_t i = g * 128; i < (g + 1) * 128; i++) {
      static_cast<Registers*>(fibers_[i].argument)->granted = true;
      if (fibers_[i].wait == Wait::registers) start(fibers_[i]);
    }
    g = first - 1;  // what it gave back may be what another waits for
  }
}

void Scheduler::waitOn(const void* object, Wait kind) {
  current->waitsOn = object;
  block(kind);
}

void Scheduler::wake(const void* object) {
  for (uint32_t i = 0; i < slots_; i++) {
    Fiber& f = fibers_[i];
    bool waits = (f.wait == Wait::mbarrier || f.wait == Wait::products) && f.waitsOn == object;
    if (waits && (warp_[f.warp].live >> f.lane & 1)) start(f);
  }
}

void Scheduler::abandon() {
  failed_ = true;
  void* ignored;
  javelin_emulator_switch(&ignored, mainStackPointer_);
  __builtin_unreachable();
}

}  // namespace emulator
