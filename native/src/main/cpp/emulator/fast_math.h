// fast_math.h: how far approximate functions are off, for JAVELIN_EMULATOR_FAST. A device computes exp, log, tanh,
// their one-instruction forms and reciprocals to within a few units in the last place; here they are exact, or off by
// so many units in a direction, or by a number of units that depends on argument and seed, as a table's errors do.
#pragma once
#include <cstdint>

#pragma GCC visibility push(default)
namespace emulator {

enum class Fast : uint8_t { exact, low, high, random };
extern Fast fast;  // modules look at it without a call

// y = f(x), moved by at most `units` in the last place. Zero, infinity and NaN stay: no table misses them.
float inexact(float y, float x, int units);

}  // namespace emulator
#pragma GCC visibility pop
