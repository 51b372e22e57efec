#include "access_check.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <vector>

#include "banks.h"
#include "memory.h"
#include "scheduler.h"

namespace emulator::access_check {
namespace {

struct Access {
  uint32_t block = 0;  // blocks are numbered from 1
  uint32_t epoch = 0;
  const void* site = nullptr;
  uint16_t actor = 0;
  uint16_t thread = 0;  // who asked the actor to
  Kind kind = Kind::thread;
  bool promised = false;
};

// Reads by one actor, or by lanes of a warp, and the number of further ones.
struct Reads {
  Access last;  // by a warp: actor is its first thread
  uint32_t lanes = 0;  // 0: no warp
  uint32_t next = 0;   // in State::more; 0: none
};

struct Byte {
  Access write;
  Reads reads;
};

struct Lent {
  const unsigned char* begin;
  size_t bytes;
  const void* site;
};

struct State {
  bool on = false;
  uint32_t block = 0, blocks = 1;  // the number of this one, or of the cluster; how many there are in it
  unsigned char* variables = nullptr;
  size_t variableBytes = 0;
  struct {
    std::vector<Byte> dynamic, variables;
  } shadow[kMaxCluster];  // by block of the cluster
  std::vector<Reads> more;
  std::vector<uint32_t> spare;
  std::vector<Lent> lent[kMaxResident];
  uint32_t threads = 0;  // that the latest blocks had
  // The allocation that was looked up last: what lies within needs no second look.
  uintptr_t begin = 0, end = 0;
};

// Reached by a pointer, since this library's own thread-local storage is scarce.
__thread State* here __attribute__((tls_model("initial-exec"))) = nullptr;

std::string name(const Access& a) {
  const Scheduler& s = *Scheduler::running();
  std::string thread = s.nameOf(a.thread);
  switch (a.kind) {
    case Kind::thread: break;
    case Kind::copy: thread = "a cp.async of " + thread; break;
    case Kind::tmaLoad: thread = "a TMA load of " + thread; break;
    case Kind::tmaStore: thread = "a TMA store of " + thread; break;
    case Kind::wgmma: thread = "a wgmma of warp " + std::to_string(s.withinBlock(a.thread) / 32) + s.ofBlock(a.thread); break;
  }
  return thread + lineOf(a.site);
}

// Where an access went, for reports.
struct Place {
  size_t offset;
  const char* where;
  uint32_t rank;
};

const char* verb(const Access& now, bool write) {
  switch (now.kind) {
    case Kind::tmaLoad: return "TMA load to";
    case Kind::tmaStore: return "TMA store from";
    case Kind::wgmma: return "wgmma reads";
    default: return write ? "writes" : "reads";
  }
}

[[noreturn]] void report(const Access& now, bool write, const Place& p, const std::string& rest) {
  std::string whose = p.rank == blockOf(*current).rank ? "" : " of block " + std::to_string(p.rank) + " of the cluster";
  fail("%s%s byte %zu of %s%s, which %s", verb(now, write), lineOf(now.site).c_str(), p.offset, p.where, whose.c_str(), rest.c_str());
}

void judgeAfterWrite(const Access& now, bool write, const Access& w, const Place& p, uint32_t thread) {
  if (w.promised) report(now, write, p, name(w) + " is still to bring: cp_async_wait is missing");
  if (!clocks::knows(thread, w.actor, w.epoch)) {
    if (w.kind == Kind::tmaLoad) report(now, write, p, name(w) + " brings: this thread has not waited for its mbarrier");
    report(now, write, p, name(w) + " wrote: a barrier between them is missing");
  }
  if (w.kind == Kind::thread && now.kind != Kind::thread && now.kind != Kind::copy && !clocks::knowsFenced(thread, w.actor, w.epoch)) {
    bool fenced = clocks::knowsFenced(w.actor, w.actor, w.epoch);
    report(now, write, p, name(w) + (fenced ? " wrote: a barrier is missing after its fence_proxy_async" : " wrote: its fence_proxy_async is missing between that and the barrier after it"));
  }
}

void judgeAfterRead(const Access& now, const Reads& r, const Place& p, uint32_t thread) {
  if (r.lanes == 0) {
    if (clocks::knows(thread, r.last.actor, r.last.epoch)) return;
    const char* wait = r.last.kind == Kind::wgmma ? "wgmma_wait" : "tma_store_wait_read";
    report(now, true, p, name(r.last) + " may still read: " + wait + ", or a barrier or mbarrier after it, is missing");
  }
  for (uint32_t lanes = r.lanes; lanes != 0; lanes &= lanes - 1) {
    uint32_t reader = r.last.actor + static_cast<uint32_t>(__builtin_ctz(lanes));
    if (clocks::knows(thread, reader, r.last.epoch)) continue;
    Access a = r.last;
    a.thread = static_cast<uint16_t>(reader);
    report(now, true, p, name(a) + " read: a barrier between them is missing");
  }
}

void forget(State& s, Byte& b) {
  for (uint32_t i = b.reads.next; i != 0; i = s.more[i].next) s.spare.push_back(i);
  b.reads = {};
}

// Lanes of a warp that read in the same epoch are one entry; a lane stands in the latest only.
void recordRead(State& s, Byte& b, const Access& now, uint32_t thread) {
  bool lanes = now.kind == Kind::thread;
  uint32_t bit = lanes ? 1u << thread % 32 : 0;
  Access by = now;
  by.actor = static_cast<uint16_t>(lanes ? thread - thread % 32 : now.actor);
  if (b.reads.last.block != s.block) {
    b.reads = {by, bit, 0};
    return;
  }
  for (Reads* r = &b.reads;; r = &s.more[r->next]) {
    if (r->last.actor == by.actor) {
      bool same = r->last.epoch == by.epoch;
      r->lanes &= ~bit;
      if (same || r->lanes == 0) {
        r->lanes |= bit;
        r->last = by;
        return;
      }
    }
    if (r->next == 0) break;
  }
  if (s.more.empty()) s.more.emplace_back();  // number 0 stands for none
  uint32_t at = static_cast<uint32_t>(s.more.size());
  if (s.spare.empty()) {
    s.more.emplace_back();
  } else {
    at = s.spare.back();
    s.spare.pop_back();
  }
  s.more[at] = {by, bit, b.reads.next};
  b.reads.next = at;
}

constexpr const char* kDynamic = "dynamic shared memory";
constexpr const char* kVariables = "the module's shared variables";

// The shadow of a piece of shared memory; null if the address is elsewhere.
Byte* find(State& s, const void* address, Place& place) {
  auto p = static_cast<const unsigned char*>(address);
  const ResidentBlock& block = blockOf(*current);
  if (p >= block.shared && p < block.shared + block.sharedBytes) {
    place = {static_cast<size_t>(p - block.shared), kDynamic, block.rank};
    return &s.shadow[block.rank].dynamic[place.offset];
  }
  if (p >= s.variables && p < s.variables + s.variableBytes) {
    place = {static_cast<size_t>(p - s.variables), kVariables, block.rank};
    return &s.shadow[block.rank].variables[place.offset];
  }
  if (s.blocks == 1) return nullptr;
  Scheduler::SharedPlace of = Scheduler::running()->find(p);
  if (of.owner == nullptr) return nullptr;
  place = {of.offset, of.dynamic ? kDynamic : kVariables, of.owner->rank};
  auto& shadow = s.shadow[of.owner->rank];
  if (of.offset < (of.dynamic ? of.owner->sharedBytes : s.variableBytes)) return of.dynamic ? &shadow.dynamic[of.offset] : &shadow.variables[of.offset];
  fail("touches byte %zu, beyond the %u bytes of dynamic shared memory of block %u of the cluster", of.offset, of.owner->sharedBytes, of.owner->rank);
}

void touch(State& s, Byte* b, size_t bytes, Place place, const Access& now, bool write, uint32_t thread) {
  for (size_t i = 0; i < bytes; i++, b++, place.offset++) {
    if (b->write.block == s.block) {
      judgeAfterWrite(now, write, b->write, place, thread);
    } else if (now.kind == Kind::wgmma) {
      report(now, false, place, "nobody has written yet: this thread has not waited for what it reads");
    }
    if (!write) {
      recordRead(s, *b, now, thread);
      continue;
    }
    if (b->reads.last.block == s.block) {
      judgeAfterRead(now, b->reads, place, thread);
      for (uint32_t n = b->reads.next; n != 0; n = s.more[n].next) judgeAfterRead(now, s.more[n], place, thread);
      forget(s, *b);
    }
    b->write = now;
  }
}

// Behind the block's dynamic shared memory lies some that belongs to no one.
void checkSharedEnd(const void* address, bool write) {
  const Block& block = *current->block;
  auto p = static_cast<const unsigned char*>(address);
  if (p >= block.shared && p < block.shared + kMaxSharedBytes) {
    fail("%s byte %td, beyond the %u bytes of dynamic shared memory of the launch", write ? "writes" : "reads", p - block.shared, block.sharedBytes);
  }
}

void checkGlobal(State& s, const void* address, size_t bytes, bool write) {
  auto a = reinterpret_cast<uintptr_t>(address);
  if (a >= s.begin && a + bytes <= s.end) return;
  void* base;
  size_t size;
  if (!memory::find(address, &base, &size)) return;  // a parameter, a constant, a local variable, or a fault to come
  s.begin = reinterpret_cast<uintptr_t>(base);
  s.end = s.begin + size;
  if (a < s.begin || a + bytes > s.end) {
    fail("%s %zu bytes past the end of an allocation of %zu bytes: at byte %zd", write ? "writes" : "reads", bytes, size, static_cast<ssize_t>(a - s.begin));
  }
}

void checkLent(const State& s, uint32_t thread, const void* address, bool write, const void* site) {
  auto p = static_cast<const unsigned char*>(address);
  for (const Lent& l : s.lent[thread]) {
    if (p < l.begin || p >= l.begin + l.bytes) continue;
    fail("%s%s accumulator %td of a wgmma%s that is under way: wgmma_wait is missing", write ? "writes" : "reads", lineOf(site).c_str(), (p - l.begin) / 4,
         lineOf(l.site).c_str());
  }
}

Access byThread(const State& s, uint32_t thread, const void* site) {
  return {s.block, clocks::epoch(thread), site, static_cast<uint16_t>(thread), static_cast<uint16_t>(thread), Kind::thread, false};
}

}  // namespace

void beginLaunch(const SharedVariables& variables) {
  if (here == nullptr) here = new State;
  State& s = *here;
  s.on = variables.checked;
  s.variables = variables.begin();
  s.variableBytes = variables.bytes;
  s.begin = s.end = 0;
  if (s.on) {
    for (auto& shadow : s.shadow) shadow.variables.clear();
  }
}

void beginBlock(uint32_t threads, uint32_t blocks) {
  State& s = *here;
  clocks::beginBlock(threads, s.on);
  if (!s.on) return;
  s.block++;
  s.blocks = blocks;
  for (uint32_t rank = 0; rank < blocks; rank++) {
    s.shadow[rank].dynamic.resize(kMaxSharedBytes);
    s.shadow[rank].variables.resize(s.variableBytes);
  }
  s.more.clear();
  s.spare.clear();
  for (uint32_t i = 0; i < s.threads; i++) s.lent[i].clear();
  s.threads = threads;
}

bool isOn() { return here->on; }

void access(uint32_t thread, const void* address, size_t bytes, bool write, const void* site) {
  State& s = *here;
  if (!s.on) return;
  Place place;
  Byte* b = find(s, address, place);
  if (b != nullptr) {
    if (place.rank != blockOf(*current).rank) {
      Scheduler::running()->requireRuns(place.rank, write ? "writes to shared memory" : "reads shared memory");
      Scheduler::running()->touches(place.rank, {thread, clocks::epoch(thread), thread, site, write ? "write to its shared memory" : "read its shared memory"});
    }
    if (banks::isOn()) banks::note(thread, place.offset, bytes, write, site);
    touch(s, b, bytes, place, byThread(s, thread, site), write, thread);
    return;
  }
  if (!s.lent[thread].empty()) checkLent(s, thread, address, write, site);
  checkSharedEnd(address, write);
  checkGlobal(s, address, bytes, write);
}

void promise(const void* address, size_t bytes, const void* site) {
  State& s = *here;
  if (!s.on) return;
  access(current->number, address, bytes, true, site);
  Place place;
  Byte* b = find(s, address, place);
  for (size_t i = 0; b != nullptr && i < bytes; i++) {
    b[i].write.promised = true;
    b[i].write.kind = Kind::copy;
  }
}

void keep(const void* address, size_t bytes) {
  State& s = *here;
  Place place;
  Byte* b = s.on ? find(s, address, place) : nullptr;
  for (size_t i = 0; b != nullptr && i < bytes; i++) b[i].write = byThread(s, current->number, b[i].write.site);
}

void issue(Kind kind, uint32_t actor, uint32_t epoch, const void* address, size_t bytes, const void* site) {
  State& s = *here;
  if (!s.on) return;
  Place place;
  Byte* b = find(s, address, place);
  Access now{s.block, epoch, site, static_cast<uint16_t>(actor), current->number, kind, false};
  if (b != nullptr) touch(s, b, bytes, place, now, kind == Kind::tmaLoad, current->number);
}

void lend(uint32_t thread, const void* registers, size_t bytes, const void* site) {
  if (here->on) here->lent[thread].push_back({static_cast<const unsigned char*>(registers), bytes, site});
}

void giveBack(uint32_t thread, const void* registers) {
  if (!here->on) return;
  auto& lent = here->lent[thread];
  for (size_t i = 0; i < lent.size(); i++) {
    if (lent[i].begin != registers) continue;
    lent[i] = lent.back();
    lent.pop_back();
    return;
  }
}

// Asked only for a report, so it may take its time: addr2line reads the image that dlopen was given.
std::string lineOf(const void* site) { return linesOf({site})[0]; }

std::vector<std::string> linesOf(const std::vector<const void*>& sites) {
  std::vector<std::string> result(sites.size());
  std::map<std::string, std::vector<size_t>> ofImage;
  for (size_t i = 0; i < sites.size(); i++) {
    Dl_info info;
    if (sites[i] != nullptr && dladdr(sites[i], &info) != 0) ofImage[info.dli_fname].push_back(i);
  }
  for (const auto& [image, numbers] : ofImage) {
    std::string command = "addr2line -a -i -e " + image;
    for (size_t i : numbers) {
      Dl_info info;
      dladdr(sites[i], &info);
      char offset[32];
      snprintf(offset, sizeof offset, " 0x%tx", static_cast<const char*>(sites[i]) - static_cast<const char*>(info.dli_fbase) - 1);
      command += offset;
    }
    FILE* lines = popen((command + " 2>/dev/null").c_str(), "r");
    if (lines == nullptr) continue;
    // Of each address, which -a repeats, the innermost first; the wrappers that the emulator's headers put around its
    // functions are not what the author wrote.
    size_t n = 0;
    for (char line[512]; fgets(line, sizeof line, lines) != nullptr;) {
      if (strncmp(line, "0x", 2) == 0) {
        n++;
        continue;
      }
      const char* file = strrchr(line, '/');
      file = file == nullptr ? line : file + 1;
      if (n == 0 || n > numbers.size()) continue;
      std::string& found = result[numbers[n - 1]];
      if (found.empty() && strstr(file, ".cu") != nullptr) found = " (" + std::string(file, strcspn(file, " \n")) + ")";
    }
    pclose(lines);
  }
  return result;
}

}  // namespace emulator::access_check
