// scheduler.h: runs the blocks of a launch, one at a time per operating system thread, each CUDA thread a fiber.
#pragma once
#include <string>
#include <vector>

#include "access_check.h"
#include "runtime.h"
#include "settings.h"

namespace emulator {

struct LaunchRequest {
  const Kernel* kernel;
  void** parameters;
  Dim3 grid, block;
  uint32_t sharedBytes;
  SharedVariables variables;
};

// Runs the whole grid. False if the launch failed; lastError() says why.
bool launch(const LaunchRequest& request);
std::string lastError();
void setLastError(std::string text);
void clearError();

// The lanes that a warp of a block of so many threads has.
inline uint32_t lanesOf(uint32_t threads, uint32_t warp) {
  uint32_t n = threads - warp * 32;
  return n >= 32 ? 0xffffffffu : (1u << n) - 1;
}

constexpr uint32_t kMaxThreads = 1024;
constexpr uint32_t kMaxSharedBytes = 227 * 1024;

struct Warp {
  uint32_t live;      // lanes that have not ended
  uint32_t runnable;  // lanes that wait for nothing
  uint32_t arrived;   // lanes that wait in a warp operation
  uint32_t started;   // lanes that have a stack
};

struct Barrier {
  uint32_t arrived, truths, expected;  // expected = 0: every live thread
  uint32_t waiting[kMaxThreads / 32];
  Arrivals last;                       // of the previous phase, for the threads it released
  clocks::Meeting clocks;
};

// The block that an operating system thread runs now.
class Scheduler {
 public:
  static Scheduler& here();     // of this operating system thread
  static Scheduler* running();  // null unless a kernel runs on it

  bool run(const LaunchRequest& request, uint64_t blockNumber);

  Arrivals barrier(uint32_t number, uint32_t threads, bool predicate);
  void barrierArrive(uint32_t number, uint32_t threads);
  void warpCollective(uint32_t mask, const Collective& operation, void* argument);
  void warpgroupCollective(const Collective& operation, void* argument);
  void yield();
  void preempt();
  bool happensNow();
  uint32_t choose(uint32_t n);  // which of n pending things happens next
  void setRegisters(uint32_t perThread, bool more);
  void wantRegisters(uint32_t perThread);  // the current warpgroup does
  void waitOn(const void* object, Wait kind);
  void wake(const void* object);
  [[noreturn]] void abandon();  // gives the block up; setLastError has been called
  std::string describe(const Fiber& fiber) const;
  uint32_t liveLanes(uint32_t warp) const { return warp_[warp].live; }
  uint64_t blocksRun() const { return blocksRun_; }

 private:
  Scheduler();
  static void fiberMain();
  void fiberEnded();
  void prepare(Fiber& fiber);
  void switchTo(Fiber& next);
  void block(Wait wait);  // the current fiber stops being runnable, another goes on
  void stop(Fiber& fiber);
  void start(Fiber& fiber);
  Fiber& next(uint32_t warp);
  uint32_t pick(uint32_t lanes);
  uint32_t pickWarp(uint32_t warp);
  void arrive(Barrier& b, uint32_t number, uint32_t threads, bool predicate);
  bool releaseIfComplete(Barrier& b, bool waits);
  [[noreturn]] void deadlock();

  Block block_{};
  const Kernel* kernel_ = nullptr;
  void** parameters_ = nullptr;
  std::vector<Fiber> fibers_;
  std::vector<void*> freeStacks_;
  unsigned char* stacks_;
  void* mainStackPointer_ = nullptr;
  uint32_t threads_ = 0, warps_ = 0, live_ = 0;
  Dim3 lastSize_{};
  Warp warp_[kMaxThreads / 32]{};
  Barrier barrier_[16]{};
  uint32_t warpgroupArrived_[kMaxThreads / 128]{};
  uint32_t registers_[kMaxThreads / 128]{}, wanted_[kMaxThreads / 128]{};  // a thread's, by warpgroup; wanted: it waits for so many
  uint32_t launchRegisters_ = 0;
  uint32_t registerPool_ = 0;  // a thread's of a warpgroup: given back by one and taken by none
  Order order_ = Order::forward;
  uint64_t random_ = 0, asyncRandom_ = 0;
  uint64_t blocksRun_ = 0;
  bool failed_ = false;
};

}  // namespace emulator
