// builtins.h: what CUDA C++ adds to C++: qualifiers, indices, kernels that can be found by name.
#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "../runtime.h"

#define __host__
#define __device__
#define __global__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __restrict__ __restrict
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))
// One block at a time runs on an operating system thread, so memory of that thread is memory of the block. Inside a
// function, where CUDA has its shared variables, thread_local means static.
#define __shared__ thread_local

#define threadIdx (emulator::current->index)
#define blockIdx (emulator::current->block->index)
#define blockDim (emulator::current->block->size)
#define gridDim (emulator::current->block->grid)
constexpr int warpSize = 32;

namespace emulator {

// The parameter list of a kernel, and the call with parameters that lie anywhere.
template <class F>
struct Signature;

template <class... P>
struct Signature<void(P...)> {
  static constexpr uint32_t count = sizeof...(P);
  static constexpr uint32_t bytes[count + 1] = {sizeof(P)..., 0};
  static constexpr uint32_t align[count + 1] = {alignof(P)..., 0};

  template <void (*kernel)(P...), size_t... i>
  static void call(void** p, std::index_sequence<i...>) {
    kernel(*static_cast<std::remove_cv_t<std::remove_reference_t<P>>*>(p[i])...);
  }
  template <void (*kernel)(P...)>
  static void invoke([[maybe_unused]] void** parameters) {
    call<kernel>(parameters, std::make_index_sequence<count>());
  }
};

// Tells the driver of a kernel when its module is loaded.
struct Registration {
  Registration(const char* name, void (*invoke)(void**), uint32_t count, const uint32_t* bytes, const uint32_t* align, uint32_t maxThreads, uint32_t minBlocks = 1)
      : kernel{name, invoke, count, bytes, align, maxThreads, minBlocks, nullptr} {
    registerKernel(&kernel);
  }
  Kernel kernel;
};

}  // namespace emulator

#define KERNEL(name, parameters, ...)                                                                             \
  extern "C" void name parameters;                                                                                \
  static emulator::Registration name##_registration{#name,                                                        \
                                                    &emulator::Signature<decltype(name)>::template invoke<name>,  \
                                                    emulator::Signature<decltype(name)>::count,                   \
                                                    emulator::Signature<decltype(name)>::bytes,                   \
                                                    emulator::Signature<decltype(name)>::align,                   \
                                                    __VA_ARGS__};                                                 \
  extern "C" void name parameters

#define DYNAMIC_SHARED(T, name) T* name = reinterpret_cast<T*>(emulator::current->block->shared)
