#include "tensor_map.h"

#include <cstring>

#include "driver.h"

namespace emulator {

uint32_t TensorMap::boxBytes() const {
  uint32_t bytes = elementBytes;
  for (int i = 0; i < rank; i++) bytes *= box[i];
  return bytes;
}

// f(address of an element in the tile, its address in the tensor or null outside).
template <class F>
void TensorMap::forElements(uintptr_t tile, const int* at, F f) const {
  uint32_t elements = boxBytes() / elementBytes;
  uint32_t i[5] = {};
  for (uint32_t n = 0; n < elements; n++) {
    unsigned char* p = base;
    bool inside = true;
    for (int d = 0; d < rank; d++) {
      int64_t c = int64_t{at[d]} + i[d];
      inside = inside && c >= 0 && c < int64_t{size[d]};
      p += static_cast<uint64_t>(c) * (d == 0 ? elementBytes : stride[d - 1]);
    }
    f(reinterpret_cast<unsigned char*>(swizzled(tile + uintptr_t{n} * elementBytes, swizzle)), inside ? p : nullptr);
    for (int d = 0; d < rank && ++i[d] == box[d]; d++) i[d] = 0;
  }
}

void TensorMap::load(unsigned char* tile, const int* at) const {
  forElements(reinterpret_cast<uintptr_t>(tile), at, [&](unsigned char* shared, const unsigned char* global) {
    if (global == nullptr) {
      memset(shared, 0, elementBytes);
    } else {
      memcpy(shared, global, elementBytes);
    }
  });
}

void TensorMap::store(const unsigned char* tile, const int* at) const {
  forElements(reinterpret_cast<uintptr_t>(tile), at, [&](const unsigned char* shared, unsigned char* global) {
    if (global != nullptr) memcpy(global, shared, elementBytes);
  });
}

namespace {

// CUtensorMapDataType: u8, u16, u32, i32, u64, i64, f16, f32, f64, bf16, and the tf32 forms.
uint8_t bytesOf(int type) {
  constexpr uint8_t kBytes[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};
  return type >= 0 && type < 13 ? kBytes[type] : 0;
}

}  // namespace
}  // namespace emulator

using namespace emulator;

API cuTensorMapEncodeTiled(void* map, int type, uint32_t rank, void* base, const uint64_t* sizes, const uint64_t* strides, const uint32_t* box, const uint32_t* steps,
                           int interleave, int swizzle, int, int fill) {
  ENTER;
  uint8_t bytes = bytesOf(type);
  auto refuse = [](const char* why) { return explain(CUDA_ERROR_INVALID_VALUE, "tensor map: %s", why); };
  if (reinterpret_cast<uintptr_t>(map) % 64 != 0) return refuse("it must be 64-byte aligned itself");
  if (reinterpret_cast<uintptr_t>(base) % 16 != 0) return refuse("the base address must be 16-byte aligned");
  if (rank < 1 || rank > 5) return refuse("rank is 1 to 5");
  if (bytes == 0) return refuse("no such data type");
  if (interleave != 0 || fill != 0 || swizzle < 0 || swizzle > 3) return explain(CUDA_ERROR_NOT_SUPPORTED, "tensor map: interleaving, NaN fill and newer swizzles are not emulated");
  TensorMap m{};
  m.magic = TensorMap::kMagic;
  m.base = static_cast<unsigned char*>(base);
  m.rank = static_cast<uint8_t>(rank);
  m.elementBytes = bytes;
  m.swizzle = static_cast<uint8_t>(swizzle);
  for (uint32_t i = 0; i < rank; i++) {
    if (sizes[i] == 0 || sizes[i] > 0xffffffffu) return refuse("a size is 1 to 2^32 - 1");
    if (box[i] == 0 || box[i] > 256) return refuse("a box has 1 to 256 elements along each dimension");
    if (steps[i] != 1) return explain(CUDA_ERROR_NOT_SUPPORTED, "tensor map: element strides other than 1 are not emulated");
    if (i + 1 < rank && (strides[i] % 16 != 0 || strides[i] >= uint64_t{1} << 40)) return refuse("a stride is a multiple of 16 bytes, below 2^40");
    m.size[i] = static_cast<uint32_t>(sizes[i]);
    m.box[i] = static_cast<uint16_t>(box[i]);
    if (i + 1 < rank) m.stride[i] = strides[i];
  }
  uint32_t row = box[0] * bytes;
  if (row % 16 != 0) return refuse("the box's innermost dimension must be a multiple of 16 bytes");
  // A GPU takes narrower boxes, whose rows it packs in a way that CUDA's manual does not say.
  if (swizzle != 0 && row != (16u << swizzle)) return refuse("the box's innermost dimension must be as wide as the swizzle");
  memcpy(map, &m, sizeof m);
  return CUDA_SUCCESS;
}
