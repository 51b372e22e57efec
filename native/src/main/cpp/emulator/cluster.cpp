// cluster.cpp: blocks of a cluster, which run together: their shared memory, their barrier, and how they end.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "bulk_copy.h"
#include "scheduler.h"
#include "trace.h"

namespace emulator {

// Beginning -----------------------------------------------------------------------------------------

// Threads of the next block begin at a whole warpgroup.
void Scheduler::beginCluster(const LaunchRequest& r, uint64_t n) {
  Dim3 c = r.cluster, clusters = {r.grid.x / c.x, r.grid.y / c.y, r.grid.z / c.z};
  Dim3 at = {static_cast<uint32_t>(n % clusters.x), static_cast<uint32_t>(n / clusters.x % clusters.y), static_cast<uint32_t>(n / clusters.x / clusters.y)};
  uint32_t blocks = c.x * c.y * c.z;
  bool same = blocks == clusterBlocks_ && memcmp(&r.block, &lastSize_, sizeof(Dim3)) == 0;
  lastSize_ = r.block;
  clusterBlocks_ = blocks;
  threads_ = r.block.x * r.block.y * r.block.z;
  stride_ = blocks == 1 ? threads_ : (threads_ + 127) / 128 * 128;
  slots_ = (blocks - 1) * stride_ + threads_;
  warps_ = (slots_ + 31) / 32;
  live_ = blocks * threads_;
  variables_ = r.variables;
  inside_ = &block_[0];
  for (uint32_t rank = 0; rank < blocks; rank++) {
    ResidentBlock& b = block_[rank];
    b.index = {at.x * c.x + rank % c.x, at.y * c.y + rank / c.x % c.y, at.z * c.z + rank / (c.x * c.y)};
    b.size = r.block;
    b.grid = r.grid;
    b.cluster = c;
    b.rank = rank;
    b.first = rank * stride_;
    b.sharedBytes = r.sharedBytes;
    // A whole page more, never given to anyone: dynamic shared memory ends where it may be touched no more.
    if (b.shared == nullptr) b.shared = static_cast<unsigned char*>(aligned_alloc(1024, (kMaxSharedBytes + 1024 + 1023) / 1024 * 1024));
    memset(b.shared, 0xff, r.sharedBytes);  // NaN in every float type
    liveOf_[rank] = threads_;
    registerPool_[rank] = 0;
    touches_[rank].clear();
    trace::beginBlock(r, b.index.x + uint64_t{r.grid.x} * (b.index.y + uint64_t{r.grid.y} * b.index.z), b.first);
    for (uint32_t i = 0; i < threads_ && !same; i++) {
      Fiber& f = fibers_[b.first + i];
      f.block = &b;
      f.index = {i % r.block.x, i / r.block.x % r.block.y, i / (r.block.x * r.block.y)};
    }
  }
  std::fill_n(arrivedIn_, slots_, 0u);
  std::fill_n(met_, slots_, 0u);
  clusterArrived_ = 0;
  clusterPhase_ = 1;
  clusterMeeting_.end();
  clusterClock_.clear();
  if (blocks == 1 || variables_.bytes == 0) return;
  if (awayBytes_ < variables_.bytes || away_[blocks - 1] == nullptr) {
    awayBytes_ = std::max(awayBytes_, (variables_.bytes + 1023) / 1024 * 1024);
    for (unsigned char*& away : away_) {
      free(away);
      away = static_cast<unsigned char*>(aligned_alloc(1024, awayBytes_));
    }
  }
  for (uint32_t rank = 0; rank < blocks; rank++) memset(away_[rank], 0xff, variables_.bytes);
  memset(variables_.begin(), 0xff, variables_.bytes);
}

void Scheduler::enter(Fiber& fiber) {
  current = &fiber;
  if (__builtin_expect(fiber.block != inside_, 0)) exchangeVariables(blockOf(fiber));
}

void Scheduler::exchangeVariables(const ResidentBlock& next) {
  if (variables_.bytes != 0) {
    memcpy(away_[inside_->rank], variables_.begin(), variables_.bytes);
    memcpy(variables_.begin(), away_[next.rank], variables_.bytes);
  }
  inside_ = &next;
}

// Shared memory -------------------------------------------------------------------------------------

Scheduler::SharedPlace Scheduler::find(const void* address) const {
  auto p = static_cast<const unsigned char*>(address);
  const unsigned char* variables = variables_.begin();
  if (p >= variables && p < variables + variables_.bytes) return {inside_, false, static_cast<size_t>(p - variables)};
  for (uint32_t rank = 0; rank < clusterBlocks_; rank++) {
    const ResidentBlock& b = block_[rank];
    if (p >= b.shared && p < b.shared + kMaxSharedBytes) return {&b, true, static_cast<size_t>(p - b.shared)};
    if (clusterBlocks_ > 1 && p >= away_[rank] && p < away_[rank] + variables_.bytes) return {&b, false, static_cast<size_t>(p - away_[rank])};
  }
  return {nullptr, false, 0};
}

void* Scheduler::common(const void* address) const {
  if (clusterBlocks_ > 1) {
    SharedPlace p = find(address);
    if (p.owner != nullptr && !p.dynamic) return away_[p.owner->rank] + p.offset;
  }
  return const_cast<void*>(address);
}

void* Scheduler::inSight(const void* common) const {
  if (clusterBlocks_ > 1) {
    SharedPlace p = find(common);
    if (p.owner == inside_ && !p.dynamic) return variables_.begin() + p.offset;
  }
  return const_cast<void*>(common);
}

uint32_t Scheduler::ownerOf(const void* address) const {
  if (clusterBlocks_ == 1) return 0;
  SharedPlace p = find(address);
  return p.owner == nullptr ? blockOf(*current).rank : p.owner->rank;
}

void* Scheduler::mapTo(const void* address, uint32_t rank, const char* instruction) const {
  SharedPlace p = find(address);
  if (rank >= clusterBlocks_) fail("%s: block %u of a cluster of %u blocks", instruction, rank, clusterBlocks_);
  if (p.owner != current->block) fail("%s: the address is not in the block's own shared memory", instruction);
  if (rank == p.owner->rank) return const_cast<void*>(address);
  return (p.dynamic ? block_[rank].shared : away_[rank]) + p.offset;
}

// Lifetimes -----------------------------------------------------------------------------------------

// Blocks of a cluster are scheduled together but begin when they will: who has not met a thread of another since may
// touch its shared memory before that is there. A barrier of the cluster is how one meets it.
void Scheduler::requireRuns(uint32_t rank, const char* does) {
  if (liveOf_[rank] == 0) fail("%s of block %u of the cluster, which has ended", does, rank);
  if (!clocks::on || (met_[current->number] >> rank & 1) != 0) return;
  if (!clocks::knowsAny(current->number, block_[rank].first, threads_)) fail("%s of block %u of the cluster, which may not have begun: no barrier of the cluster came before", does, rank);
  met_[current->number] |= 1u << rank;
}

void Scheduler::touches(uint32_t rank, const Touch& touch) {
  auto& all = touches_[rank];
  if (touch.actor >= all.size()) all.resize(touch.actor + 1);
  Touch& last = all[touch.actor];
  if (last.epoch <= touch.epoch) last = touch;
}

void Scheduler::blockEnded(const ResidentBlock& block) {
  if (clocks::on) {
    const clocks::Shared& known = barrierOf(0).clocks.soFar();  // by one of its threads when that ended
    for (const Touch& t : touches_[block.rank]) {
      if (known.seen(t.actor) >= t.epoch) continue;
      fail("ends before its block knows that %s%s is done, which may still %s", nameOf(t.thread).c_str(), access_check::lineOf(t.site).c_str(), t.does);
    }
  }
  bulk::blockEnded(block.rank);
}

// The barrier ---------------------------------------------------------------------------------------

void Scheduler::clusterArrived(const Fiber& f) {
  if (arrivedIn_[f.number] != 0) fail("barrier.cluster.arrive: this thread has arrived before and not waited since");
  arrivedIn_[f.number] = clusterPhase_;
  clusterArrived_++;
  if (clocks::on) clusterMeeting_.add(f.number);
  releaseClusterIfComplete();
}

void Scheduler::releaseClusterIfComplete() {
  if (clusterArrived_ == 0 || clusterArrived_ != live_) return;
  clusterArrived_ = 0;
  clusterPhase_++;
  clusterClock_ = clusterMeeting_.end();
  wake(&clusterPhase_);
}

void Scheduler::clusterWait() {
  uint32_t& phase = arrivedIn_[current->number];
  if (phase == 0) fail("barrier.cluster.wait: this thread has not arrived");
  while (phase == clusterPhase_) waitOn(&clusterPhase_, Wait::mbarrier);
  phase = 0;
  if (clocks::on) clocks::acquire(current->number, clusterClock_);
}

namespace {

// .aligned: all lanes of a warp are at the same instruction, which tells them nothing of each other.
void arriveAll(void** arguments, uint32_t lanes) {
  for (; lanes != 0; lanes &= lanes - 1) Scheduler::running()->clusterArrived(*static_cast<Fiber*>(arguments[__builtin_ctz(lanes)]));
}

void nothing(void**, uint32_t) {}

constexpr Collective kArrive{"barrier.cluster.arrive", arriveAll}, kWait{"barrier.cluster.wait", nothing};

}  // namespace

bool isClusterBarrier(const Collective& operation) { return &operation == &kArrive || &operation == &kWait; }

void clusterArrive() {
  require(90, "barrier.cluster.arrive");
  warpCollective(0xffffffffu, kArrive, current);
  preempt();
}

void clusterWait() {
  require(90, "barrier.cluster.wait");
  warpCollective(0xffffffffu, kWait, nullptr);
  Scheduler::running()->clusterWait();
  preempt();
}

// For kernels ---------------------------------------------------------------------------------------

uint32_t clusterRank() {
  require(90, "%cluster_ctarank");
  return blockOf(*current).rank;
}

uint32_t clusterBlocks() {
  require(90, "%cluster_nctarank");
  return Scheduler::running()->clusterBlocks();
}

void* clusterMap(const void* shared, uint32_t rank, const char* instruction) {
  require(90, instruction);
  return Scheduler::running()->mapTo(shared, rank, instruction);
}

// Names ---------------------------------------------------------------------------------------------

std::string Scheduler::ofBlock(uint32_t thread) const { return clusterBlocks_ == 1 ? "" : " of block " + std::to_string(thread / stride_) + " of the cluster"; }

std::string Scheduler::nameOf(uint32_t thread) const {
  return "thread " + std::to_string(withinBlock(thread)) + (clusterBlocks_ == 1 ? " of the block" : ofBlock(thread));
}

}  // namespace emulator
