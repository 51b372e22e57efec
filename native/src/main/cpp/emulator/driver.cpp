// driver.cpp: the device, its one (primary) context, the names of errors, and the emulator's own controls.
#include "driver.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "banks.h"
#include "memory.h"

namespace emulator {
namespace {

std::recursive_mutex& mutex = *new std::recursive_mutex;
std::atomic<CallCounter*> counters{nullptr};
CUresult sticky = CUDA_SUCCESS;
int primaryUsers = 0;
thread_local std::vector<CUcontext> contexts;  // the calling thread's stack of contexts, the last is current

CUcontext primary() {
  static char identity;
  return reinterpret_cast<CUcontext>(&identity);
}

void destroyPrimary() {
  forgetStreams();
  memory::releaseAll();
  sticky = CUDA_SUCCESS;
  clearError();
}

}  // namespace

CallCounter::CallCounter(const char* n) : name(n), next(counters) {
  while (!counters.compare_exchange_weak(next, this)) {
  }
}

Call::Call(CallCounter& counter) : lock_(mutex) { counter.calls++; }

CUresult contextState() {
  if (contexts.empty() || contexts.back() == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  if (primaryUsers == 0) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  return sticky;
}

CUresult setSticky(CUresult error) {
  if (sticky == CUDA_SUCCESS) sticky = error;
  return sticky;
}

CUresult explain(CUresult error, const char* format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (sticky == CUDA_SUCCESS) clearError();
  setLastError(text);
  return error;
}

DeviceLimits deviceLimits() {
  switch (settings().capability) {
    case 80: return {166912, 167936, 2048, 32};
    case 86: return {101376, 102400, 1536, 16};
    case 89: return {101376, 102400, 1536, 24};
    default: return {232448, 233472, 2048, 32};
  }
}

}  // namespace emulator

using namespace emulator;

API cuInit(unsigned flags) {
  ENTER;
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  memory::watchFaults();
  return CUDA_SUCCESS;
}

API cuDriverGetVersion(int* version) {
  ENTER;
  *version = 13000;
  return CUDA_SUCCESS;
}

API cuDeviceGetCount(int* count) {
  ENTER;
  *count = 1;
  return CUDA_SUCCESS;
}

API cuDeviceGet(CUdevice* device, int ordinal) {
  ENTER;
  if (ordinal != 0) return CUDA_ERROR_INVALID_DEVICE;
  *device = 0;
  return CUDA_SUCCESS;
}

API cuDeviceGetName(char* name, int length, CUdevice) {
  ENTER;
  snprintf(name, static_cast<size_t>(length), "Javelin emulator");
  return CUDA_SUCCESS;
}

API cuDeviceGetUuid(CUuuid* uuid, CUdevice) {
  ENTER;
  memcpy(uuid->bytes, "javelin-emulator", 16);
  return CUDA_SUCCESS;
}

API cuDeviceGetPCIBusId(char* id, int length, CUdevice) {
  ENTER;
  snprintf(id, static_cast<size_t>(length), "0000:00:00.0");
  return CUDA_SUCCESS;
}

API cuDeviceTotalMem_v2(size_t* bytes, CUdevice) {
  ENTER;
  *bytes = settings().memory;
  return CUDA_SUCCESS;
}

API cuDeviceComputeCapability(int* major, int* minor, CUdevice) {
  ENTER;
  *major = settings().capability / 10;
  *minor = settings().capability % 10;
  return CUDA_SUCCESS;
}

API cuDeviceGetAttribute(int* value, int attribute, CUdevice) {
  ENTER;
  DeviceLimits limits = deviceLimits();
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = settings().capability / 10; break;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = settings().capability % 10; break;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y: *value = kMaxThreads; break;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z: *value = 64; break;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X: *value = 0x7fffffff; break;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y:
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z: *value = 65535; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: *value = 48 * 1024; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *value = limits.sharedBytesPerBlock; break;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR: *value = limits.sharedBytesPerMultiprocessor; break;
    case CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK: *value = 1024; break;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR: *value = limits.threadsPerMultiprocessor; break;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR: *value = limits.blocksPerMultiprocessor; break;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE: *value = 32; break;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 4; break;
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK:
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR:
    case CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY: *value = 65536; break;
    case CU_DEVICE_ATTRIBUTE_CLOCK_RATE:
    case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE: *value = 1000000; break;  // kHz
    case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH: *value = 64; break;
    case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: *value = 1 << 20; break;
    case CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY:
    case CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS:
    case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT:
    case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING:
    case CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED: *value = 1; break;
    default: *value = 0;
  }
  return CUDA_SUCCESS;
}

// Context -----------------------------------------------------------------------------------------

API cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  ENTER;
  if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
  primaryUsers++;
  *context = primary();
  return CUDA_SUCCESS;
}

API cuDevicePrimaryCtxRelease_v2(CUdevice) {
  ENTER;
  if (primaryUsers == 0) return CUDA_ERROR_INVALID_CONTEXT;
  if (--primaryUsers == 0) destroyPrimary();
  return CUDA_SUCCESS;
}

API cuDevicePrimaryCtxReset_v2(CUdevice) {
  ENTER;
  destroyPrimary();
  return CUDA_SUCCESS;
}

API cuDevicePrimaryCtxSetFlags_v2(CUdevice, unsigned) {
  ENTER;
  return CUDA_SUCCESS;
}

API cuDevicePrimaryCtxGetState(CUdevice, unsigned* flags, int* active) {
  ENTER;
  *flags = 0;
  *active = primaryUsers != 0;
  return CUDA_SUCCESS;
}

API cuCtxSetCurrent(CUcontext context) {
  ENTER;
  if (contexts.empty()) contexts.push_back(nullptr);
  contexts.back() = context;
  return CUDA_SUCCESS;
}

API cuCtxGetCurrent(CUcontext* context) {
  ENTER;
  *context = contexts.empty() ? nullptr : contexts.back();
  return CUDA_SUCCESS;
}

API cuCtxPushCurrent_v2(CUcontext context) {
  ENTER;
  contexts.push_back(context);
  return CUDA_SUCCESS;
}

API cuCtxPopCurrent_v2(CUcontext* context) {
  ENTER;
  if (contexts.empty()) return CUDA_ERROR_INVALID_CONTEXT;
  if (context != nullptr) *context = contexts.back();
  contexts.pop_back();
  return CUDA_SUCCESS;
}

API cuCtxGetDevice(CUdevice* device) {
  ENTER_CONTEXT;
  *device = 0;
  return CUDA_SUCCESS;
}

API cuCtxGetApiVersion(CUcontext, unsigned* version) {
  ENTER;
  *version = 3020;
  return CUDA_SUCCESS;
}

API cuCtxGetFlags(unsigned* flags) {
  ENTER_CONTEXT;
  *flags = 0;
  return CUDA_SUCCESS;
}

API cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  ENTER_CONTEXT;
  *least = 0;
  *greatest = -5;
  return CUDA_SUCCESS;
}

API cuCtxSynchronize() {
  ENTER_UNCAPTURED;
  return drain();
}

// Errors ------------------------------------------------------------------------------------------

namespace {

struct ErrorName {
  CUresult code;
  const char* name;
  const char* text;
};

#define ERROR(name, text) {name, #name, text}
constexpr ErrorName kErrors[] = {
    ERROR(CUDA_SUCCESS, "no error"),
    ERROR(CUDA_ERROR_INVALID_VALUE, "invalid argument"),
    ERROR(CUDA_ERROR_OUT_OF_MEMORY, "out of memory"),
    ERROR(CUDA_ERROR_NOT_INITIALIZED, "initialization error"),
    ERROR(CUDA_ERROR_DEINITIALIZED, "driver shutting down"),
    ERROR(CUDA_ERROR_NO_DEVICE, "no CUDA-capable device is detected"),
    ERROR(CUDA_ERROR_INVALID_DEVICE, "invalid device ordinal"),
    ERROR(CUDA_ERROR_INVALID_IMAGE, "device kernel image is invalid"),
    ERROR(CUDA_ERROR_INVALID_CONTEXT, "invalid device context"),
    ERROR(CUDA_ERROR_NO_BINARY_FOR_GPU, "no kernel image is available for execution on the device"),
    ERROR(CUDA_ERROR_INVALID_PTX, "a PTX JIT compilation failed"),
    ERROR(CUDA_ERROR_INVALID_SOURCE, "device kernel image is invalid"),
    ERROR(CUDA_ERROR_FILE_NOT_FOUND, "file not found"),
    ERROR(CUDA_ERROR_INVALID_HANDLE, "invalid resource handle"),
    ERROR(CUDA_ERROR_ILLEGAL_STATE, "the operation cannot be performed in the present state"),
    ERROR(CUDA_ERROR_NOT_FOUND, "named symbol not found"),
    ERROR(CUDA_ERROR_NOT_READY, "device not ready"),
    ERROR(CUDA_ERROR_ILLEGAL_ADDRESS, "an illegal memory access was encountered"),
    ERROR(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "too many resources requested for launch"),
    ERROR(CUDA_ERROR_LAUNCH_TIMEOUT, "the launch timed out and was terminated"),
    ERROR(CUDA_ERROR_CONTEXT_IS_DESTROYED, "context is destroyed"),
    ERROR(CUDA_ERROR_MISALIGNED_ADDRESS, "misaligned address"),
    ERROR(CUDA_ERROR_LAUNCH_FAILED, "unspecified launch failure"),
    ERROR(CUDA_ERROR_NOT_PERMITTED, "operation not permitted"),
    ERROR(CUDA_ERROR_NOT_SUPPORTED, "operation not supported"),
    ERROR(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "operation not permitted when stream is capturing"),
    ERROR(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "operation failed due to a previous error during capture"),
    ERROR(CUDA_ERROR_STREAM_CAPTURE_MERGE, "operation would result in a merge of separate capture sequences"),
    ERROR(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "capture was not ended in the same stream as it began"),
    ERROR(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, "capturing stream has unjoined work"),
    ERROR(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "dependency created on uncaptured work in another stream"),
    ERROR(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "operation would make the legacy stream depend on a capturing blocking stream"),
    ERROR(CUDA_ERROR_CAPTURED_EVENT, "operation not permitted on an event last recorded in a capturing stream"),
    ERROR(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, "attempt to terminate a thread-local capture sequence from another thread"),
    ERROR(CUDA_ERROR_UNKNOWN, "unknown error"),
};
#undef ERROR

const ErrorName* find(CUresult code) {
  for (const ErrorName& e : kErrors) {
    if (e.code == code) return &e;
  }
  return nullptr;
}

}  // namespace

API cuGetErrorName(CUresult code, const char** name) {
  ENTER;
  const ErrorName* e = find(code);
  *name = e == nullptr ? nullptr : e->name;
  return e == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

API cuGetErrorString(CUresult code, const char** text) {
  ENTER;
  const ErrorName* e = find(code);
  *text = e == nullptr ? nullptr : e->text;
  return e == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

API cuProfilerStart() {
  ENTER;
  return CUDA_SUCCESS;
}

API cuProfilerStop() {
  ENTER;
  return CUDA_SUCCESS;
}

// Controls, found by name with dlsym --------------------------------------------------------------

#define CONTROL extern "C" __attribute__((visibility("default")))

// Sets a switch: order, capability, guard, lazy, threads, memory, … 0, or 1 if there is no such key or value.
CONTROL int javelin_emulator_set(const char* key, const char* value) {
  std::lock_guard lock(mutex);
  bool known = settings().set(key, value);
  fast = settings().fast;
  return known ? 0 : 1;
}

// Why the latest failing call failed, "" if none did. Good until the thread's next call.
CONTROL const char* javelin_emulator_error() {
  static thread_local std::string& text = *new std::string;
  text = lastError();
  return text.c_str();
}

// What banks.h counted since the last call. Good until the thread's next call.
CONTROL const char* javelin_emulator_banks() {
  static thread_local std::string& text = *new std::string;
  text = banks::take();
  return text.c_str();
}

// How often entry points whose names begin so were called, since the start.
CONTROL long javelin_emulator_calls(const char* prefix) {
  long sum = 0;
  for (CallCounter* c = counters; c != nullptr; c = c->next) {
    if (strncmp(c->name, prefix, strlen(prefix)) == 0) sum += c->calls;
  }
  return sum;
}
