// driver.h: what the parts of the emulated driver share.
//
// Every entry point begins with ENTER (or one of its stricter forms), which counts the call under its name and holds
// the driver's one lock until it returns.
#pragma once
#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "driver_api.h"
#include "scheduler.h"

#define API extern "C" __attribute__((visibility("default"))) CUresult

#define ENTER                                            \
  static emulator::CallCounter& counter_ = *new emulator::CallCounter(__func__); \
  emulator::Call call_(counter_)
// … and there must be a current context, without an error that ended it.
#define ENTER_CONTEXT \
  ENTER;              \
  if (CUresult r_ = emulator::contextState()) return r_
// … and no stream may be capturing: the call would wait for work, or allocate, in the middle of a recording.
#define ENTER_UNCAPTURED \
  ENTER_CONTEXT;         \
  if (CUresult r_ = emulator::forbiddenInCapture(__func__)) return r_

namespace emulator {

struct CallCounter {
  explicit CallCounter(const char* name);
  const char* name;
  std::atomic<long> calls{0};
  CallCounter* next;
};

class Call {
 public:
  explicit Call(CallCounter& counter);

 private:
  std::lock_guard<std::recursive_mutex> lock_;
};

CUresult contextState();
CUresult forbiddenInCapture(const char* function);

// Ends the context with an error: every later call returns it.
CUresult setSticky(CUresult error);

// Why the call that returns this error failed, for javelin_emulator_error().
CUresult explain(CUresult error, const char* format, ...) __attribute__((format(printf, 2, 3)));

struct DeviceLimits {
  int sharedBytesPerBlock, sharedBytesPerMultiprocessor, threadsPerMultiprocessor, blocksPerMultiprocessor;
};
DeviceLimits deviceLimits();

// Work on a stream: recorded where the stream captures, put off where the lazy switch is on, else done at once.
enum class NodeType { kernel = 0, memcpy = 1, memset = 2, host = 3, event = 7 };
CUresult enqueue(CUstream stream, NodeType type, std::function<CUresult()> work);
CUresult drain();               // all that was put off takes place; returns the context's state
void forgetStreams();           // with the context: captures and put-off work are dropped

}  // namespace emulator
