#include "access_check.h"

#include <vector>

#include "memory.h"
#include "scheduler.h"
#include "trace.h"

struct TlsIndex {
  unsigned long module, offset;
};
extern "C" void* __tls_get_addr(TlsIndex*);  // of the C library: the address in the calling thread, allocated if need be

namespace emulator {

unsigned char* SharedVariables::begin() const {
  if (module == 0) return nullptr;
  TlsIndex index{module, 0};
  return static_cast<unsigned char*>(__tls_get_addr(&index));
}

namespace access_check {
namespace {

// Who accessed a byte, and when.
struct Access {
  uint64_t block = 0;  // blocks are numbered from 1
  uint32_t barriers = 0, warpOperations = 0;
  uint16_t thread = 0;  // or kSeveral: threads of several warps; kLanes + warp: several lanes of one
  bool promised = false;
};
constexpr uint16_t kLanes = kMaxThreads, kSeveral = 0xffff;

struct Byte {
  Access write, read;
};

struct State {
  bool on = false, judging = true;
  uint64_t block = 0;
  uint32_t barriers = 0, warpOperations[kMaxThreads / 32] = {};
  unsigned char* variables = nullptr;
  size_t variableBytes = 0;
  std::vector<Byte> ofDynamic, ofVariables;
  // The allocation that was looked up last: what lies within needs no second look.
  uintptr_t begin = 0, end = 0;
};

// Reached by a pointer, since this library's own thread-local storage is scarce.
__thread State* here __attribute__((tls_model("initial-exec"))) = nullptr;
__thread bool checkedModule __attribute__((tls_model("initial-exec"))) = false;

uint16_t warpOf(uint16_t who) { return who >= kLanes ? static_cast<uint16_t>(who - kLanes) : static_cast<uint16_t>(who / 32); }

// Is everything in `a` before what `thread` does now?
bool ordered(const State& s, const Access& a, uint32_t thread) {
  if (a.block != s.block || a.thread == thread || a.barriers < s.barriers) return true;
  return a.thread != kSeveral && warpOf(a.thread) == thread / 32 && a.warpOperations < s.warpOperations[thread / 32];
}

// The last accesses of a byte by several threads at the same time become one entry.
void record(const State& s, Access& a, uint32_t thread) {
  uint16_t who = static_cast<uint16_t>(thread);
  bool same = a.block == s.block && a.barriers == s.barriers;
  if (same && a.thread == kSeveral) {
    who = kSeveral;
  } else if (same && a.thread != thread && warpOf(a.thread) != thread / 32) {
    who = kSeveral;
  } else if (same && a.thread != thread && a.warpOperations == s.warpOperations[thread / 32]) {
    who = static_cast<uint16_t>(kLanes + thread / 32);
  }
  a = {s.block, s.barriers, s.warpOperations[thread / 32], who, false};
}

std::string nameOf(uint16_t who) {
  if (who == kSeveral) return "threads of other warps";
  if (who >= kLanes) return "other lanes of its warp";
  return "thread " + std::to_string(who) + " of the block";
}

void judge(const State& s, Byte& b, uint32_t thread, size_t offset, const char* where, bool write) {
  const char* does = write ? "writes" : "reads";
  if (b.write.block == s.block && b.write.promised) {
    fail("%s byte %zu of %s, which a cp.async of %s is still to bring: cp_async_wait is missing", does, offset, where, nameOf(b.write.thread).c_str());
  }
  if (!ordered(s, b.write, thread)) {
    fail("%s byte %zu of %s, which %s wrote: a barrier between them is missing", does, offset, where, nameOf(b.write.thread).c_str());
  }
  if (write && !ordered(s, b.read, thread)) {
    fail("writes byte %zu of %s, which %s read: a barrier between them is missing", offset, where, nameOf(b.read.thread).c_str());
  }
}

// The shadow of a piece of shared memory; null if the address is elsewhere.
Byte* find(State& s, const void* address, size_t& offset, const char*& where) {
  auto p = static_cast<const unsigned char*>(address);
  const Block& block = *current->block;
  if (p >= block.shared && p < block.shared + block.sharedBytes) {
    offset = static_cast<size_t>(p - block.shared);
    where = "dynamic shared memory";
    return &s.ofDynamic[offset];
  }
  if (p >= s.variables && p < s.variables + s.variableBytes) {
    offset = static_cast<size_t>(p - s.variables);
    where = "the module's shared variables";
    return &s.ofVariables[offset];
  }
  return nullptr;
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

}  // namespace

bool announced() {
  bool result = checkedModule;
  checkedModule = false;
  return result;
}

void beginLaunch(const SharedVariables& variables) {
  if (here == nullptr) here = new State;
  State& s = *here;
  s.on = variables.checked;
  s.variables = variables.begin();
  s.variableBytes = variables.bytes;
  s.begin = s.end = 0;
  if (s.on) {
    s.ofDynamic.resize(kMaxSharedBytes);
    s.ofVariables.assign(variables.bytes, Byte{});
  }
}

void beginBlock() {
  State& s = *here;
  s.block++;
  s.judging = true;
  s.barriers = 0;
  for (uint32_t& n : s.warpOperations) n = 0;
}

void passedBarrier() { here->barriers++; }

void passedWarp(uint32_t warp) { here->warpOperations[warp]++; }

void passedOther() { here->judging = false; }

void access(uint32_t thread, const void* address, size_t bytes, bool write) {
  State& s = *here;
  if (!s.on) return;
  size_t offset;
  const char* where;
  Byte* b = find(s, address, offset, where);
  if (b == nullptr) {
    checkSharedEnd(address, write);
    checkGlobal(s, address, bytes, write);
    return;
  }
  for (size_t i = 0; i < bytes; i++) {
    if (s.judging) judge(s, b[i], thread, offset + i, where, write);
    record(s, write ? b[i].write : b[i].read, thread);
  }
}

void promise(const void* address, size_t bytes) {
  access(current->number, address, bytes, true);
  size_t offset;
  const char* where;
  Byte* b = here->on ? find(*here, address, offset, where) : nullptr;
  for (size_t i = 0; b != nullptr && i < bytes; i++) b[i].write.promised = true;
}

void keep(const void* address, size_t bytes) {
  size_t offset;
  const char* where;
  Byte* b = here->on ? find(*here, address, offset, where) : nullptr;
  for (size_t i = 0; b != nullptr && i < bytes; i++) record(*here, b[i].write, current->number);
}

}  // namespace access_check
}  // namespace emulator

// What -fsanitize=thread makes the compiler call.
namespace {

// Inlined into each hook, whose return address is the place of the access.
inline __attribute__((always_inline)) void onAccess(const void* address, size_t bytes, bool write) {
  if (emulator::current == nullptr) return;
  if (__builtin_expect(emulator::trace::on, false)) emulator::trace::access(address, bytes, write, __builtin_return_address(0));
  emulator::access_check::access(emulator::current->number, address, bytes, write);
}

}  // namespace

#define HOOK extern "C" __attribute__((visibility("default"))) void
#define HOOKS(bytes)                                                              \
  HOOK __tsan_read##bytes(void* p) { onAccess(p, bytes, false); }                 \
  HOOK __tsan_write##bytes(void* p) { onAccess(p, bytes, true); }                 \
  HOOK __tsan_unaligned_read##bytes(void* p) { onAccess(p, bytes, false); }       \
  HOOK __tsan_unaligned_write##bytes(void* p) { onAccess(p, bytes, true); }
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
HOOK __tsan_read_range(void* p, size_t bytes) { onAccess(p, bytes, false); }
HOOK __tsan_write_range(void* p, size_t bytes) { onAccess(p, bytes, true); }
HOOK __tsan_func_entry(void*) {}
HOOK __tsan_func_exit() {}
HOOK __tsan_vptr_update(void**, void*) {}
// Called by the initialiser of each checked module.
HOOK __tsan_init() { emulator::access_check::checkedModule = true; }

// What -fsanitize=alignment makes it call where an address is no multiple of what its type asks for.
namespace {

struct TypeName {
  uint16_t kind, information;
  char name[1];  // and more, quoted
};

struct Misaligned {
  const char* file;
  uint32_t line, column;
  const TypeName* type;
  uint8_t logarithm;  // of the alignment
};

}  // namespace

HOOK __ubsan_handle_type_mismatch_v1(const Misaligned* m, void* address) {
  if (emulator::current == nullptr) return;
  emulator::fail("misaligned: address %p is no multiple of %u, which %s at %s:%u wants", address, 1u << m->logarithm, m->type->name, m->file, m->line);
}
