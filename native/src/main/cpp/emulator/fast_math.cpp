#include "fast_math.h"

#include <cmath>
#include <cstring>

#include "settings.h"

namespace emulator {

Fast fast = settings().fast;

float inexact(float y, float x, int units) {
  if (y == 0 || !std::isfinite(y)) return y;
  int move = fast == Fast::high ? units : -units;
  if (fast == Fast::random) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint64_t h = (settings().fastSeed + 1) * 0x9e3779b97f4a7c15 ^ bits * 0xbf58476d1ce4e5b9;
    h = (h ^ h >> 31) * 0x94d049bb133111eb;
    move = static_cast<int>((h >> 33) % static_cast<uint64_t>(2 * units + 1)) - units;
  }
  float moved = y;
  for (int i = 0; i < (move < 0 ? -move : move); i++) moved = std::nextafter(moved, move < 0 ? -HUGE_VALF : HUGE_VALF);
  return moved;
}

}  // namespace emulator
