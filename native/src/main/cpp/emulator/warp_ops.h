// warp_ops.h: shuffles, votes, matches and integer reductions over the lanes of a warp.
#pragma once
#include <cstddef>
#include <cstdint>

#pragma GCC visibility push(default)
namespace emulator {

enum class Shuffle { index, up, down, exclusiveOr };
enum class Reduce { add, minSigned, maxSigned, minUnsigned, maxUnsigned, bitAnd, bitOr, bitXor };
enum class FloatReduce { add, max, min };

void syncWarp(uint32_t mask);
uint32_t liveLanes();  // of the warp: those that have not ended
void shuffle(uint32_t mask, void* value, size_t bytes, Shuffle kind, uint32_t operand, int width);
uint32_t ballot(uint32_t mask, bool predicate);
uint32_t matchAny(uint32_t mask, uint64_t value);
uint32_t reduce(uint32_t mask, uint32_t value, Reduce kind);

// The butterfly v[l] = op(v[l], v[l ^ 16]), then 8, 4, 2, 1, over a whole warp, bit for bit as five shuffles give it,
// at a fifth of their cost.
float butterfly(float value, FloatReduce kind);

}  // namespace emulator
#pragma GCC visibility pop
