// settings.h: the switches. Each is read once from the environment (JAVELIN_EMULATOR_ORDER, …) and can be set while
// the program runs through javelin_emulator_set("order", "reverse").
#pragma once
#include <cstddef>
#include <cstdint>

#include "fast_math.h"

namespace emulator {

enum class Order { forward, reverse, random };
enum class Async { late, early, random };
enum class Overlap { none, ahead, behind };

struct Settings {
  Order order = Order::forward;  // forward | reverse | a seed
  uint64_t seed = 0;
  Async async = Async::late;     // late | early | a seed: when copies and products beside the threads take effect
  uint64_t asyncSeed = 0;
  int capability = 90;           // 8.0 | 8.6 | 8.9 | 9.0: what the device says it is
  bool guard = false;            // allocations end within 16 bytes of a page that nobody may touch
  bool lazy = false;             // stream work runs at the next synchronisation, not before
  Overlap overlap = Overlap::none;  // 0 | ahead | behind: streams beside the first run so, as far as events allow
  bool tensorTruncates = false;  // rounded | truncated: how tensor cores add (tensor_sum.h)
  Fast fast = Fast::exact;       // exact | low | high | a seed: what approximate functions return (fast_math.h)
  uint64_t fastSeed = 0;
  bool banks = false;  // 0 | 1: count the turns of shared memory's banks (banks.h)
  int threads = 1;               // operating system threads that run blocks
  size_t memory = size_t{4} << 30;

  // False if there is no such key, or the value is not one of its values.
  bool set(const char* key, const char* value);
};

Settings& settings();

}  // namespace emulator
