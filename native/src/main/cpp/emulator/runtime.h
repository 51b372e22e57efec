// runtime.h: what a kernel module (a .cu file compiled by g++) and the emulated driver know of each other.
//
// A CUDA thread is a fiber: a stack and a saved stack pointer. An operating system thread runs one block at a time and
// switches between its fibers only where a thread has to wait: at barriers, warp operations, mbarriers. Between two
// such points a thread runs alone, so a kernel's result depends on the order of the threads only if it has a race;
// that is why the emulator can run the same kernel in several orders and compare.
#pragma once
#include <cstddef>
#include <cstdint>

#pragma GCC visibility push(default)
namespace emulator {

struct Dim3 {
  uint32_t x, y, z;
};

struct Block {
  Dim3 index, size, grid;
  unsigned char* shared;  // dynamic shared memory, 1024-byte aligned
  uint32_t sharedBytes;
};

// An operation that a set of threads carries out together: each arrives with a pointer to its arguments, the last to
// arrive runs it for all.
struct Collective {
  const char* name;                                  // as the kernel's author wrote it: "__shfl_xor_sync"
  void (*run)(void** arguments, uint32_t lanes);     // arguments[lane], for the lanes in the mask
};

// Everything a thread may wait for.
enum class Wait : uint8_t { nothing, barrier, warp, warpgroup, mbarrier, products, registers };

struct Fiber {
  void* stackPointer;
  void* stackTop;
  Block* block;
  Dim3 index;          // threadIdx
  uint16_t number;     // within the block
  uint16_t warp, lane;
  Wait wait;
  uint8_t barrier;     // its number while wait == barrier
  const Collective* operation;
  void* argument;
  uint32_t mask;
  const void* waitsOn;  // an mbarrier, or the products of a warpgroup
};

// The thread that runs now; null outside of kernels. initial-exec: modules reach it without a call.
extern __thread Fiber* current __attribute__((tls_model("initial-exec")));

// A kernel as its module registers it.
struct Kernel {
  const char* name;
  void (*invoke)(void** parameters);
  uint32_t parameterCount;
  const uint32_t* parameterBytes;
  const uint32_t* parameterAlign;
  uint32_t maxThreads, minBlocks;  // of its launch bounds
  Kernel* next;
};
void registerKernel(Kernel* kernel);

// Ends the launch: the text, with kernel, block and thread before it, becomes javelin_emulator_error().
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Barriers. threads = 0: all that have not ended. Both return how many arrived with a true predicate, and how many
// arrived at all.
struct Arrivals {
  uint32_t truths, threads;
};
Arrivals barrier(uint32_t number, uint32_t threads, bool predicate);
void barrierArrive(uint32_t number, uint32_t threads);

void warpCollective(uint32_t mask, const Collective& operation, void* argument);
void warpgroupCollective(const Collective& operation, void* argument);  // arguments[128]

void yield();                          // lets another runnable thread go on
void setRegisters(uint32_t perThread, bool more);  // setmaxnreg of a whole warpgroup
void waitOn(const void* object, Wait kind = Wait::mbarrier);  // until wake(object)
void wake(const void* object);
bool happensNow();                     // does asynchronous work that was just asked for take effect at once?
void preempt();                        // perhaps lets another thread go on, where the hardware might
int capability();                      // 90 for 9.0
void require(int capability, const char* instruction);  // fails on a device that lacks it
void requireShared(const void* address, size_t bytes, const char* instruction);  // fails outside of dynamic shared memory

}  // namespace emulator
#pragma GCC visibility pop
