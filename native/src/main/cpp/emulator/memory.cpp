#include "memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>

#include "scheduler.h"

namespace emulator::memory {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kSparse = 1 << 30;  // from here on memory takes pages where it is touched only
constexpr size_t kQuarantine = 1024;

struct Allocation {
  uintptr_t base;       // what the program got
  size_t bytes;         // what it asked for
  uintptr_t mapping;
  size_t mapped;        // with the forbidden page at its end
  uint64_t number;      // 1, 2, …: the order in which they were made
  bool released;
};

std::recursive_mutex& mutex = *new std::recursive_mutex;
std::map<uintptr_t, Allocation>& byMapping = *new std::map<uintptr_t, Allocation>;
std::deque<uintptr_t>& quarantine = *new std::deque<uintptr_t>;
size_t usedBytes = 0;
uint64_t allocations = 0;

Allocation* lookup(const void* address) {
  auto a = reinterpret_cast<uintptr_t>(address);
  auto it = byMapping.upper_bound(a);
  if (it == byMapping.begin()) return nullptr;
  Allocation& found = std::prev(it)->second;
  return a < found.mapping + found.mapped ? &found : nullptr;
}

}  // namespace

void* allocate(size_t bytes) {
  std::lock_guard lock(mutex);
  if (bytes > settings().memory || usedBytes > settings().memory - bytes) return nullptr;
  size_t align = settings().guard ? 16 : 256;
  size_t rounded = (bytes + align - 1) / align * align;
  size_t mapped = (rounded + kPage - 1) / kPage * kPage + kPage;
  void* p = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  auto mapping = reinterpret_cast<uintptr_t>(p);
  uintptr_t base = mapping + mapped - kPage - rounded;
  mprotect(reinterpret_cast<void*>(mapping + mapped - kPage), kPage, PROT_NONE);
  if (bytes < kSparse) memset(reinterpret_cast<void*>(base), 0xff, rounded);
  byMapping[mapping] = {base, bytes, mapping, mapped, ++allocations, false};
  usedBytes += bytes;
  return reinterpret_cast<void*>(base);
}

void zero(void* address, size_t bytes) {
  if (bytes < kSparse) {
    memset(address, 0, bytes);
    return;
  }
  auto from = reinterpret_cast<uintptr_t>(address), to = from + bytes;
  auto first = (from + kPage - 1) / kPage * kPage, last = to / kPage * kPage;
  madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);  // pages of zeros, when they are touched
  memset(address, 0, first - from);
  memset(reinterpret_cast<void*>(last), 0, to - last);
}

// Its pages become forbidden and stay so for a while: a kernel that still uses them is told so.
static void retire(Allocation& a) {
  a.released = true;
  usedBytes -= a.bytes;
  mmap(reinterpret_cast<void*>(a.mapping), a.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  quarantine.push_back(a.mapping);
  if (quarantine.size() <= kQuarantine) return;
  auto oldest = byMapping.find(quarantine.front());
  munmap(reinterpret_cast<void*>(oldest->second.mapping), oldest->second.mapped);
  byMapping.erase(oldest);
  quarantine.pop_front();
}

bool release(void* address) {
  std::lock_guard lock(mutex);
  Allocation* a = lookup(address);
  if (a == nullptr || a->released || a->base != reinterpret_cast<uintptr_t>(address)) return false;
  retire(*a);
  return true;
}

void releaseAll() {
  std::lock_guard lock(mutex);
  std::deque<uintptr_t> live;
  for (auto& [mapping, a] : byMapping) {
    if (!a.released) live.push_back(mapping);
  }
  for (uintptr_t mapping : live) retire(byMapping[mapping]);
}

size_t used() { return usedBytes; }

bool contains(const void* address, size_t bytes) {
  std::lock_guard lock(mutex);
  Allocation* a = lookup(address);
  auto at = reinterpret_cast<uintptr_t>(address);
  return a != nullptr && !a->released && at >= a->base && bytes <= a->bytes && at - a->base <= a->bytes - bytes;
}

bool find(const void* address, void** base, size_t* bytes) {
  std::lock_guard lock(mutex);
  Allocation* a = lookup(address);
  if (a == nullptr || a->released) return false;
  *base = reinterpret_cast<void*>(a->base);
  *bytes = a->bytes;
  return true;
}

// Faults ------------------------------------------------------------------------------------------

namespace {

struct sigaction previousSegv, previousBus, previousFpe;

// Where a faulting thread goes on: on its own stack, as if the faulting instruction had called it.
void giveUp() { Scheduler::running()->abandon(); }

void describeFault(char* text, size_t size, int signal, uintptr_t address, bool write) {
  const char* does = write ? "writes" : "reads";
  Allocation* a = lookup(reinterpret_cast<void*>(address));
  if (signal == SIGFPE) {
    snprintf(text, size, "divides an integer by zero");
  } else if (a == nullptr) {
    snprintf(text, size, "%s address 0x%zx, which is in no allocation%s", does, static_cast<size_t>(address), address < kPage ? " (a null pointer?)" : "");
  } else if (a->released) {
    snprintf(text, size, "%s byte %zd of allocation #%zu (%zu bytes), which was freed", does, static_cast<ssize_t>(address - a->base), static_cast<size_t>(a->number), a->bytes);
  } else {
    snprintf(text, size, "%s past the end of allocation #%zu (%zu bytes): at byte %zd", does, static_cast<size_t>(a->number), a->bytes, static_cast<ssize_t>(address - a->base));
  }
}

// The virtual machine uses these signals itself: what does not come from a kernel is passed on.
void chain(const struct sigaction& previous, int signal, siginfo_t* info, void* context) {
  if ((previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(signal, info, context);
  } else if (previous.sa_handler == SIG_DFL) {
    sigaction(signal, &previous, nullptr);  // returning repeats the fault, which now ends the process
  } else if (previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal);
  }
}

void onFault(int signal, siginfo_t* info, void* context) {
  Scheduler* scheduler = Scheduler::running();
  if (scheduler == nullptr) {
    chain(signal == SIGSEGV ? previousSegv : signal == SIGBUS ? previousBus : previousFpe, signal, info, context);
    return;
  }
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  char text[256];
  describeFault(text, sizeof text, signal, reinterpret_cast<uintptr_t>(info->si_addr), (registers[REG_ERR] & 2) != 0);
  setLastError(scheduler->describe(*current) + ": " + text);
  // Returning from the signal restores its mask; then the thread leaves the block instead of faulting again.
  registers[REG_RIP] = reinterpret_cast<greg_t>(&giveUp);
  registers[REG_RSP] = (registers[REG_RSP] - 128) / 16 * 16 - 8;  // below the red zone, aligned as after a call
}

}  // namespace

void watchFaults() {
  std::lock_guard lock(mutex);
  static bool watching = false;
  if (watching) return;
  watching = true;
  struct sigaction action = {};
  action.sa_sigaction = onFault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigaction(SIGSEGV, &action, &previousSegv);
  sigaction(SIGBUS, &action, &previousBus);
  sigaction(SIGFPE, &action, &previousFpe);
}

}  // namespace emulator::memory
