// scheduler_report.cpp: what is said of a block in which no thread can go on.
#include <cstdio>

#include "mbarrier.h"
#include "scheduler.h"

namespace emulator {

std::string Scheduler::describe(const Fiber& f) const {
  char text[256];
  Dim3 block = f.block->index;
  snprintf(text, sizeof text, "kernel %s, block (%u,%u,%u), thread (%u,%u,%u)", kernel_->name, block.x, block.y, block.z, f.index.x, f.index.y, f.index.z);
  return text;
}

// No thread can go on: says for each warp which lanes wait for what, and which have ended.
void Scheduler::deadlock() {
  std::string text;
  const Fiber* witness = nullptr;
  for (uint32_t w = 0; w < warps_ && text.size() < 2000; w++) {
    char line[512];
    uint32_t within = withinBlock(w * 32);
    if (within >= threads_) continue;
    std::string name = std::to_string(within / 32) + ofBlock(w * 32);
    const char* warp = name.c_str();
    uint32_t seen = lanesOf(threads_, within / 32) & ~warp_[w].live;
    if (seen != 0 && warp_[w].live != 0) {
      snprintf(line, sizeof line, "; warp %s: lanes %08x have ended", warp, seen);
      text += line;
    }
    for (uint32_t rest = warp_[w].live; rest != 0;) {
      const Fiber& f = fibers_[w * 32 + static_cast<uint32_t>(__builtin_ctz(rest))];
      uint32_t same = 0;
      for (uint32_t lanes = rest; lanes != 0; lanes &= lanes - 1) {
        auto l = static_cast<uint32_t>(__builtin_ctz(lanes));
        const Fiber& g = fibers_[w * 32 + l];
        bool alike = g.wait == f.wait && (f.wait == Wait::barrier ? g.barrier == f.barrier : f.wait == Wait::mbarrier || f.wait == Wait::products ? g.waitsOn == f.waitsOn : g.operation == f.operation && g.mask == f.mask);
        if (alike) same |= 1u << l;
      }
      rest &= ~same;
      // The witness is one that waits in the rarer place: in a warp operation rather than at a barrier.
      if (witness == nullptr || (witness->wait == Wait::barrier && f.wait != Wait::barrier)) witness = &f;
      if (f.wait == Wait::barrier && f.barrier == 0) {
        snprintf(line, sizeof line, "; warp %s: lanes %08x wait at __syncthreads", warp, same);
      } else if (f.wait == Wait::barrier) {
        snprintf(line, sizeof line, "; warp %s: lanes %08x wait at barrier %u", warp, same, f.barrier);
      } else if (f.wait == Wait::warp) {
        snprintf(line, sizeof line, "; warp %s: lanes %08x wait in %s with mask %08x", warp, same, f.operation->name, f.mask);
      } else if (f.wait == Wait::warpgroup) {
        snprintf(line, sizeof line, "; warp %s: lanes %08x wait in %s for the rest of the warpgroup", warp, same, f.operation->name);
      } else if (f.wait == Wait::products) {
        snprintf(line, sizeof line, "; warp %s: lanes %08x wait in wgmma_wait for products that other warps of the warpgroup have not issued", warp, same);
      } else if (f.waitsOn == &clusterPhase_ && f.wait == Wait::mbarrier) {
        snprintf(line, sizeof line, "; warp %s: lanes %08x wait at the cluster's barrier, where %u of %u threads have arrived", warp, same, clusterArrived_, live_);
      } else if (f.wait == Wait::registers) {
        snprintf(line, sizeof line, "; warp %s: setmaxnreg.inc waits for %u registers a thread, it has %u, and %u were given back by others", warp, wanted_[w / 4],
                 registers_[w / 4], registerPool_[blockOf(f).rank]);
      } else {
        snprintf(line, sizeof line, "; warp %s: lanes %08x wait for an mbarrier%s", warp, same, describeMbarrier(f.waitsOn).c_str());
      }
      text += line;
    }
  }
  setLastError(describe(*witness) + ": deadlock, no thread of the block can go on" + text);
  abandon();
}

}  // namespace emulator
