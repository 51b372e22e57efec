// runtime.cpp: what modules call, on behalf of the thread that runs.
#include "runtime.h"

#include <cstdarg>
#include <cstdio>

#include "scheduler.h"
#include "trace.h"

namespace emulator {

namespace {
Scheduler& here() { return *Scheduler::running(); }
}  // namespace

void fail(const char* format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  setLastError(here().describe(*current) + ": " + text);
  here().abandon();
}

Arrivals barrier(uint32_t number, uint32_t threads, bool predicate) {
  if (number > 15 || threads % 32 != 0) fail("barrier %u of %u threads: numbers are 0 to 15, threads a multiple of 32", number, threads);
  if (trace::on) trace::barrier(number, __builtin_return_address(0));
  return here().barrier(number, threads, predicate);
}

void barrierArrive(uint32_t number, uint32_t threads) {
  if (number > 15 || threads % 32 != 0) fail("barrier %u of %u threads: numbers are 0 to 15, threads a multiple of 32", number, threads);
  if (trace::on) trace::barrier(number, __builtin_return_address(0));
  here().barrierArrive(number, threads);
}

void warpCollective(uint32_t mask, const Collective& operation, void* argument) { here().warpCollective(mask, operation, argument); }

void warpgroupCollective(const Collective& operation, void* argument) { here().warpgroupCollective(operation, argument); }

void setRegisters(uint32_t perThread, bool more) {
  require(90, "setmaxnreg");
  here().setRegisters(perThread, more);
}

bool happensNow() { return here().happensNow(); }

void preempt() { here().preempt(); }

void yield() { here().yield(); }

void waitOn(const void* object, Wait kind) { here().waitOn(object, kind); }

void wake(const void* object) { here().wake(object); }

int capability() { return settings().capability; }

void require(int needed, const char* instruction) {
  if (capability() < needed) {
    fail("%s needs compute capability %d.%d, this device has %d.%d", instruction, needed / 10, needed % 10, capability() / 10, capability() % 10);
  }
}

void requireShared(const void* address, size_t bytes, const char* instruction) {
  const Block& b = *current->block;
  auto offset = static_cast<const unsigned char*>(address) - b.shared;
  if (offset < 0 || offset + static_cast<ptrdiff_t>(bytes) > static_cast<ptrdiff_t>(b.sharedBytes)) {
    fail("%s: %zu bytes at offset %td lie outside of the block's dynamic shared memory of %u bytes", instruction, bytes, offset, b.sharedBytes);
  }
}

}  // namespace emulator
