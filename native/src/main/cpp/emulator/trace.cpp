#include "trace.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "memory.h"
#include "scheduler.h"

namespace emulator::trace {

__thread bool on __attribute__((tls_model("initial-exec"))) = false;

namespace {

constexpr const char* kGlobal = "global";
constexpr const char* kShared = "shared";
constexpr const char* kVariable = "variable";

struct Place {
  const char* space;  // null: not memory on a GPU
  uintptr_t address;
};

// The hook runs before the store does, so a store is written down when its thread comes by again.
struct Store {
  const void* address = nullptr;
  size_t bytes = 0;
  uintptr_t site = 0;
  Place place{};
};

struct State {
  FILE* file = nullptr;
  uint64_t block = 0;
  uint32_t warp = 0;
  uint32_t first = 0;  // thread of the block, in its cluster
  uintptr_t image = 0;  // where the module of the running kernel begins
  SharedVariables variables;
  Store stores[32];
};

State& state() {
  static State& s = *new State;
  return s;
}

Place placeOf(const State& s, const void* address) {
  auto p = static_cast<const unsigned char*>(address);
  const Block& b = *current->block;
  if (p >= b.shared && p < b.shared + b.sharedBytes) return {kShared, static_cast<uintptr_t>(p - b.shared)};
  const unsigned char* variables = s.variables.begin();
  if (p >= variables && p < variables + s.variables.bytes) return {kVariable, static_cast<uintptr_t>(p - variables)};
  void* base;
  size_t size;
  if (memory::find(address, &base, &size)) return {kGlobal, reinterpret_cast<uintptr_t>(p)};
  return {nullptr, 0};
}

void writeBytes(FILE* f, const void* bytes, size_t n) {
  fputc(' ', f);
  if (n == 0) fputc('-', f);
  for (size_t i = 0; i < n; i++) fprintf(f, "%02x", static_cast<const unsigned char*>(bytes)[i]);
}

void writeAccess(const State& s, const char* kind, uintptr_t site, Place place, const void* address, size_t bytes) {
  fprintf(s.file, "%s %u %zx %s %zx", kind, current->number - s.first, site, place.space, place.address);
  writeBytes(s.file, address, bytes);
  fputc('\n', s.file);
}

// A return address stands behind its call: one byte less is within it.
uintptr_t within(const State& s, const void* site) { return reinterpret_cast<uintptr_t>(site) - s.image - 1; }

bool isTraced(const State& s) { return current->warp == s.warp + s.first / 32; }

}  // namespace

bool to(const char* value) {
  State& s = state();
  if (s.file != nullptr) fclose(s.file);
  s.file = nullptr;
  if (strcmp(value, "0") == 0) return true;
  unsigned long long block;
  unsigned thread;
  int path = 0;
  if (sscanf(value, "%llu:%u:%n", &block, &thread, &path) != 2 || path == 0 || thread >= kMaxThreads) return false;
  s.block = block;
  s.warp = thread / 32;
  s.file = fopen(value + path, "w");
  return s.file != nullptr;
}

void beginLaunch(const LaunchRequest& r) {
  State& s = state();
  if (s.file == nullptr) return;
  fprintf(s.file, "launch %u,%u,%u %u,%u,%u %u %zu %s\n", r.grid.x, r.grid.y, r.grid.z, r.block.x, r.block.y, r.block.z, r.sharedBytes,
          r.variables.bytes, r.kernel->name);
  Dl_info info{};
  dladdr(reinterpret_cast<void*>(r.kernel->invoke), &info);
  s.image = reinterpret_cast<uintptr_t>(info.dli_fbase);
}

void beginBlock(const LaunchRequest& r, uint64_t block, uint32_t firstThread) {
  State& s = state();
  if (s.file == nullptr || block != s.block) return;
  on = true;
  s.first = firstThread;
  s.variables = r.variables;
  for (Store& store : s.stores) store = {};
}

void settle() {
  State& s = state();
  if (!isTraced(s)) return;
  Store& store = s.stores[current->lane];
  if (store.address == nullptr) return;
  writeAccess(s, "write", store.site, store.place, store.address, store.bytes);
  store.address = nullptr;
}

void access(const void* address, size_t bytes, bool write, const void* site) {
  State& s = state();
  if (!isTraced(s)) return;
  settle();
  Place place = placeOf(s, address);
  if (place.space == nullptr) return;
  if (write) {
    s.stores[current->lane] = {address, bytes, within(s, site), place};
  } else {
    writeAccess(s, "read", within(s, site), place, address, bytes);
  }
}

void copy(const void* shared, const void* global, size_t bytes, const void* site) {
  State& s = state();
  if (!isTraced(s)) return;
  settle();
  Place place = placeOf(s, shared);
  if (place.space == nullptr) return;
  fprintf(s.file, "copy %u %zx %s %zx %zx", current->number - s.first, within(s, site), place.space, place.address, reinterpret_cast<uintptr_t>(global));
  writeBytes(s.file, global, bytes);
  fputc('\n', s.file);
}

void barrier(uint32_t number, const void* site) {
  State& s = state();
  if (!isTraced(s)) return;
  settle();
  fprintf(s.file, "barrier %u %zx ", current->number - s.first, within(s, site));
  fprintf(s.file, number == 0 ? "__syncthreads\n" : "barrier %u\n", number);
}

void warp(const char* name, const void* given, size_t givenBytes, const void* got, size_t gotBytes, const void* site) {
  State& s = state();
  if (!isTraced(s)) return;
  settle();
  fprintf(s.file, "warp %u %zx", current->number - s.first, within(s, site));
  writeBytes(s.file, given, givenBytes);
  writeBytes(s.file, got, gotBytes);
  fprintf(s.file, " %s\n", name);
}

}  // namespace emulator::trace
