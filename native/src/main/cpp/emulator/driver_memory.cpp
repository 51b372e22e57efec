// driver_memory.cpp: allocation, copies and fills. Every range is checked against the allocations.
#include <cstdlib>
#include <cstring>

#include "driver.h"
#include "memory.h"

using namespace emulator;

namespace {

constexpr size_t kMaxPitch = 0x7fffffff;  // CU_DEVICE_ATTRIBUTE_MAX_PITCH of every GPU, by the manual for copies; of fills it says nothing

void* pointer(CUdeviceptr p) { return reinterpret_cast<void*>(p); }

CUresult check(const char* what, CUdeviceptr p, size_t bytes) {
  if (bytes == 0 || memory::contains(pointer(p), bytes)) return CUDA_SUCCESS;
  void* base;
  size_t size;
  if (!memory::find(pointer(p), &base, &size)) return explain(CUDA_ERROR_INVALID_VALUE, "%s: 0x%zx is not device memory", what, static_cast<size_t>(p));
  return explain(CUDA_ERROR_INVALID_VALUE, "%s: %zu bytes from byte %zd on of an allocation of %zu bytes", what, bytes,
                 static_cast<ssize_t>(p - reinterpret_cast<CUdeviceptr>(base)), size);
}

// Host memory that is mapped for the device has the same address there.
bool isDevice(CUdeviceptr p) {
  void* base;
  size_t size;
  return memory::find(pointer(p), &base, &size);
}

CUresult copy(CUstream stream, CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return enqueue(stream, NodeType::memcpy, [=] {
    memmove(pointer(to), pointer(from), bytes);
    return CUDA_SUCCESS;
  });
}

// A synchronous copy: after all work before it.
CUresult copyNow(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  if (CUresult r = drain()) return r;
  memmove(pointer(to), pointer(from), bytes);
  return CUDA_SUCCESS;
}

template <class T>
CUresult fill(CUstream stream, CUdeviceptr p, T value, size_t n) {
  if (CUresult r = check("memset", p, n * sizeof(T))) return r;
  if (p % sizeof(T) != 0) return explain(CUDA_ERROR_INVALID_VALUE, "memset of %zu-byte values: address 0x%zx is not aligned to them", sizeof(T), static_cast<size_t>(p));
  return enqueue(stream, NodeType::memset, [=] {
    T* to = static_cast<T*>(pointer(p));
    if (value == 0) return memory::zero(to, n * sizeof(T)), CUDA_SUCCESS;
    for (size_t i = 0; i < n; i++) to[i] = value;
    return CUDA_SUCCESS;
  });
}

CUdeviceptr device(const void* p) { return reinterpret_cast<CUdeviceptr>(p); }

}  // namespace

API cuMemAlloc_v2(CUdeviceptr* result, size_t bytes) {
  ENTER_UNCAPTURED;
  if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  void* p = memory::allocate(bytes);
  if (p == nullptr) return explain(CUDA_ERROR_OUT_OF_MEMORY, "%zu bytes asked for, %zu of %zu left", bytes, settings().memory - memory::used(), settings().memory);
  *result = device(p);
  return CUDA_SUCCESS;
}

API cuMemFree_v2(CUdeviceptr p) {
  ENTER_UNCAPTURED;
  if (p == 0) return CUDA_SUCCESS;
  if (CUresult r = drain()) return r;
  return memory::release(pointer(p)) ? CUDA_SUCCESS : explain(CUDA_ERROR_INVALID_VALUE, "free: 0x%zx is not the start of an allocation", static_cast<size_t>(p));
}

API cuMemAllocAsync(CUdeviceptr* result, size_t bytes, CUstream) { return cuMemAlloc_v2(result, bytes); }

API cuMemFreeAsync(CUdeviceptr p, CUstream) { return cuMemFree_v2(p); }

API cuMemGetInfo_v2(size_t* left, size_t* total) {
  ENTER_CONTEXT;
  *total = settings().memory;
  *left = settings().memory - memory::used();
  return CUDA_SUCCESS;
}

API cuMemGetAddressRange_v2(CUdeviceptr* base, size_t* bytes, CUdeviceptr p) {
  ENTER_CONTEXT;
  void* start;
  size_t size;
  if (!memory::find(pointer(p), &start, &size)) return CUDA_ERROR_NOT_FOUND;
  if (base != nullptr) *base = device(start);
  if (bytes != nullptr) *bytes = size;
  return CUDA_SUCCESS;
}

// Pinned host memory ------------------------------------------------------------------------------

API cuMemAllocHost_v2(void** result, size_t bytes) {
  ENTER_UNCAPTURED;
  if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  *result = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  return *result == nullptr ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
}

API cuMemHostAlloc(void** result, size_t bytes, unsigned) { return cuMemAllocHost_v2(result, bytes); }

API cuMemFreeHost(void* p) {
  ENTER_UNCAPTURED;
  if (CUresult r = drain()) return r;
  free(p);
  return CUDA_SUCCESS;
}

API cuMemHostRegister_v2(void* p, size_t bytes, unsigned) {
  ENTER_CONTEXT;
  return p == nullptr || bytes == 0 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

API cuMemHostUnregister(void*) {
  ENTER_CONTEXT;
  return drain();
}

API cuMemHostGetDevicePointer_v2(CUdeviceptr* result, void* p, unsigned) {
  ENTER_CONTEXT;
  *result = device(p);
  return CUDA_SUCCESS;
}

API cuMemHostGetFlags(unsigned* flags, void*) {
  ENTER_CONTEXT;
  *flags = 0;
  return CUDA_SUCCESS;
}

// Copies ------------------------------------------------------------------------------------------

API cuMemcpyHtoD_v2(CUdeviceptr to, const void* from, size_t bytes) {
  ENTER_UNCAPTURED;
  if (CUresult r = check("copy to the device", to, bytes)) return r;
  return copyNow(to, device(from), bytes);
}

API cuMemcpyDtoH_v2(void* to, CUdeviceptr from, size_t bytes) {
  ENTER_UNCAPTURED;
  if (CUresult r = check("copy to the host", from, bytes)) return r;
  return copyNow(device(to), from, bytes);
}

API cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  ENTER_UNCAPTURED;
  if (CUresult r = check("copy, destination", to, bytes)) return r;
  if (CUresult r = check("copy, source", from, bytes)) return r;
  return copyNow(to, from, bytes);
}

API cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  ENTER_UNCAPTURED;
  if (isDevice(to)) {
    if (CUresult r = check("copy, destination", to, bytes)) return r;
  }
  if (isDevice(from)) {
    if (CUresult r = check("copy, source", from, bytes)) return r;
  }
  return copyNow(to, from, bytes);
}

API cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
  ENTER_CONTEXT;
  if (CUresult r = check("copy to the device", to, bytes)) return r;
  return copy(stream, to, device(from), bytes);
}

API cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
  ENTER_CONTEXT;
  if (CUresult r = check("copy to the host", from, bytes)) return r;
  return copy(stream, device(to), from, bytes);
}

API cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  ENTER_CONTEXT;
  if (CUresult r = check("copy, destination", to, bytes)) return r;
  if (CUresult r = check("copy, source", from, bytes)) return r;
  return copy(stream, to, from, bytes);
}

API cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  ENTER_CONTEXT;
  if (isDevice(to)) {
    if (CUresult r = check("copy, destination", to, bytes)) return r;
  }
  if (isDevice(from)) {
    if (CUresult r = check("copy, source", from, bytes)) return r;
  }
  return copy(stream, to, from, bytes);
}

// Fills -------------------------------------------------------------------------------------------

API cuMemsetD8Async(CUdeviceptr p, unsigned char value, size_t n, CUstream stream) {
  ENTER_CONTEXT;
  return fill(stream, p, value, n);
}

API cuMemsetD16Async(CUdeviceptr p, unsigned short value, size_t n, CUstream stream) {
  ENTER_CONTEXT;
  return fill(stream, p, value, n);
}

API cuMemsetD32Async(CUdeviceptr p, unsigned value, size_t n, CUstream stream) {
  ENTER_CONTEXT;
  return fill(stream, p, value, n);
}

API cuMemsetD2D8Async(CUdeviceptr p, size_t pitch, unsigned char value, size_t width, size_t height, CUstream stream) {
  ENTER_CONTEXT;
  if (width == 0 || height == 0) return CUDA_SUCCESS;
  if (height > 1 && (pitch < width || pitch > kMaxPitch)) return explain(CUDA_ERROR_INVALID_VALUE, "memset: rows of %zu bytes, %zu apart", width, pitch);
  if (CUresult r = check("memset", p, (height - 1) * pitch + width)) return r;
  return enqueue(stream, NodeType::memset, [=] {
    for (size_t row = 0; row < height; row++) memset(static_cast<char*>(pointer(p)) + row * pitch, value, width);
    return CUDA_SUCCESS;
  });
}

API cuMemsetD8_v2(CUdeviceptr p, unsigned char value, size_t n) {
  ENTER_UNCAPTURED;
  return fill(nullptr, p, value, n);
}

API cuMemsetD16_v2(CUdeviceptr p, unsigned short value, size_t n) {
  ENTER_UNCAPTURED;
  return fill(nullptr, p, value, n);
}

API cuMemsetD32_v2(CUdeviceptr p, unsigned value, size_t n) {
  ENTER_UNCAPTURED;
  return fill(nullptr, p, value, n);
}
