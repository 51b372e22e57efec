// scheduler.h: runs the blocks of a launch, one at a time per operating system thread, or those of a cluster together, each
// CUDA thread a fiber.
#pragma once
#include <string>
#include <vector>

#include "access_check.h"
#include "cluster.h"
#include "runtime.h"
#include "settings.h"

namespace emulator {

struct LaunchRequest {
  const Kernel* kernel;
  void** parameters;
  Dim3 grid, block;
  uint32_t sharedBytes;
  SharedVariables variables;
  Dim3 cluster{1, 1, 1};  // blocks
};

// Runs the whole grid. False if the launch failed; lastError() says why.
bool launch(const LaunchRequest& request);
std::string lastError();
void setLastError(std::string text);
void clearError();

bool isClusterBarrier(const Collective& operation);  // which tells the lanes nothing of each other

// The lanes that a warp of a block of so many threads has.
inline uint32_t lanesOf(uint32_t threads, uint32_t warp) {
  uint32_t n = threads - warp * 32;
  return n >= 32 ? 0xffffffffu : (1u << n) - 1;
}

constexpr uint32_t kMaxThreads = 1024;
constexpr uint32_t kMaxCluster = 8;       // blocks; more are not portable
constexpr uint32_t kMaxResident = 4096;   // threads of a cluster
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

// A block as the scheduler knows it. Threads are numbered through the cluster.
struct ResidentBlock : Block {
  Dim3 cluster;          // its size in blocks
  uint32_t rank, first;  // the block's number in it; the number of the block's first thread
};
inline const ResidentBlock& blockOf(const Fiber& f) { return *static_cast<const ResidentBlock*>(f.block); }

// What an actor did to the shared memory of a block that is not its own, or does beside the threads: the block must not end
// before somebody in it knows of it.
struct Touch {
  uint32_t actor = 0, epoch = 0;  // 0: none
  uint32_t thread = 0;
  const void* site = nullptr;
  const char* does = nullptr;  // "arrive at its mbarrier"
};

// The block, or the cluster, that an operating system thread runs now.
class Scheduler {
 public:
  // Shared memory of the cluster. Dynamic memory of each block has its own address. Variables, which are thread-local, lie
  // at the same address in whichever block runs; those of the others wait elsewhere. The common address of a variable is
  // there.
  struct SharedPlace {
    const ResidentBlock* owner;  // null: elsewhere
    bool dynamic;
    size_t offset;
  };

  static Scheduler& here();     // of this operating system thread
  static Scheduler* running();  // null unless a kernel runs on it

  bool run(const LaunchRequest& request, uint64_t clusterNumber);

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
  void clusterArrived(const Fiber& fiber);
  void clusterWait();
  SharedPlace find(const void* address) const;
  void* common(const void* address) const;   // the same for all blocks
  void* inSight(const void* common) const;   // where the current block has it
  uint32_t ownerOf(const void* address) const;
  void* mapTo(const void* address, uint32_t rank, const char* instruction) const;
  void requireRuns(uint32_t rank, const char* does);  // of another block: has it begun, and not ended?
  void touches(uint32_t rank, const Touch& touch);
  uint32_t clusterBlocks() const { return clusterBlocks_; }
  uint32_t withinBlock(uint32_t thread) const { return thread % stride_; }
  std::string ofBlock(uint32_t thread) const;  // " of block 1 of the cluster", "" where it is the only one
  std::string nameOf(uint32_t thread) const;   // "thread 7 of the block"
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
  Barrier& barrierOf(uint32_t number) { return barrier_[blockOf(*current).rank * kBarriers + number]; }
  void beginCluster(const LaunchRequest& request, uint64_t number);
  void enter(Fiber& fiber);  // it is the current one
  void exchangeVariables(const ResidentBlock& next);
  void blockEnded(const ResidentBlock& block);
  void releaseClusterIfComplete();
  uint32_t groupOf(const Fiber& f) const { return withinBlock(f.number) / 128; }
  [[noreturn]] void deadlock();

  static constexpr uint32_t kBarriers = 16;  // of a block

  ResidentBlock block_[kMaxCluster]{};
  const Kernel* kernel_ = nullptr;
  void** parameters_ = nullptr;
  std::vector<Fiber> fibers_;
  std::vector<void*> freeStacks_;
  unsigned char* stacks_;
  void* mainStackPointer_ = nullptr;
  uint32_t threads_ = 0;              // of a block
  uint32_t stride_ = 0, slots_ = 0;   // from a block's first thread to the next block's; all
  uint32_t warps_ = 0, live_ = 0;     // of all blocks
  uint32_t liveOf_[kMaxCluster]{};    // threads, by block
  uint32_t clusterBlocks_ = 0;
  Dim3 lastSize_{};
  Warp warp_[kMaxResident / 32]{};
  Barrier barrier_[kMaxCluster * kBarriers]{};
  uint32_t warpgroupArrived_[kMaxResident / 128]{};
  uint32_t registers_[kMaxResident / 128]{}, wanted_[kMaxResident / 128]{};  // a thread's, by warpgroup; wanted: it waits for so many
  uint32_t launchRegisters_ = 0;
  uint32_t registerPool_[kMaxCluster]{};  // a thread's of a warpgroup: given back by one and taken by none
  SharedVariables variables_;
  unsigned char* away_[kMaxCluster]{};    // variables of blocks that do not run
  size_t awayBytes_ = 0;
  const ResidentBlock* inside_ = nullptr;         // whose variables are in place
  uint32_t clusterArrived_ = 0, clusterPhase_ = 1;
  clocks::Meeting clusterMeeting_;
  clocks::Shared clusterClock_;           // of the phase before
  uint32_t arrivedIn_[kMaxResident]{};    // by thread: the phase in which it has arrived without having waited; 0: none
  uint32_t met_[kMaxResident]{};          // by thread: blocks of which it knows that they have begun, by rank
  std::vector<Touch> touches_[kMaxCluster];
  Order order_ = Order::forward;
  uint64_t random_ = 0, asyncRandom_ = 0;
  uint64_t blocksRun_ = 0;
  bool failed_ = false;
};

}  // namespace emulator
