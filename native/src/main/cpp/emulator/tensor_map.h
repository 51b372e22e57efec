// tensor_map.h: what the emulated driver writes into the 128 opaque bytes of a CUtensorMap, and the copies it describes.
#pragma once
#include <cstdint>

namespace emulator {

struct alignas(64) TensorMap {
  uint64_t magic;
  unsigned char* base;
  uint8_t rank, elementBytes;
  uint8_t swizzle;     // 0 none, 1, 2, 3: 32, 64, 128 bytes
  uint8_t unused[5];
  uint64_t stride[4];  // bytes, of the dimensions beyond the innermost
  uint32_t size[5];    // elements, innermost first
  uint16_t box[5];

  static constexpr uint64_t kMagic = 0x6e696c6576616a54;
  bool isValid() const { return magic == kMagic; }
  uint32_t boxBytes() const;

  // The box whose first element has these coordinates, from or to a tile in shared memory. What lies outside of the
  // tensor reads as zero and is not written.
  void load(unsigned char* tile, const int* at) const;
  void store(const unsigned char* tile, const int* at) const;

 private:
  template <class F>
  void forElements(uintptr_t tile, const int* at, F f) const;
};
static_assert(sizeof(TensorMap) == 128);

// Where a swizzled tile keeps the byte of this address: the number of the 16-byte piece within 128 bytes is combined
// with the number of the 128-byte row, by exclusive or.
//   address  … r2 r1 r0 | p2 p1 p0 | byte in the piece (4 bits)      128 bytes: p ^= r;  64: p1p0 ^= r1r0;  32: p0 ^= r0
inline uintptr_t swizzled(uintptr_t address, int mode) {
  uintptr_t mask = (uintptr_t{1} << mode) - 1;
  return address ^ (address >> 7 & mask) << 4;
}

}  // namespace emulator
