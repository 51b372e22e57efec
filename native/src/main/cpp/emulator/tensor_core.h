// tensor_core.h: the matrix operations of a warp: mma.sync, ldmatrix, stmatrix.
//
// In a fragment, lane l holds row g = l / 4 and columns 2t, 2t + 1 with t = l % 4 of each 8 x 8 part (PTX ISA,
// "Matrix fragments"). Products are exact in fp32; they are added to the accumulator one after the other, in the order
// of k, or as a device adds them: several at once, and truncated (tensor_sum.h).
#pragma once
#include <cstddef>
#include <cstdint>

#pragma GCC visibility push(default)
namespace emulator {

enum class MmaType { bf16, f16, tf32 };

void mma(MmaType type, float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
void loadMatrices(uint32_t* registers, int count, bool transposed, const void* row);
void storeMatrices(void* row, const uint32_t* registers, int count, bool transposed);

}  // namespace emulator
#pragma GCC visibility pop
