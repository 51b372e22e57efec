// attention_dropout.cuh: random zeros among the weights of attention, drawn where they are wanted and never kept; the bits
// of kernels.cpu.AttentionDropout. A head of a sequence has a key of its own: the first two words of Philox at counter (head,
// sequence, step, site) under the seed. Under it a block of Philox at counter (key block, query block, 0, 0) serves four
// weights, block = 8·(index / 16) + index mod 8 of either:
//
//               key j   key j + 8
//   query i     word 0  word 1
//   query i+8   word 2  word 3
//
// Eight, because a thread of tensor cores has the weights of rows g and g + 8, and of columns 8 apart: whether queries are
// its rows or its columns, it uses all four words. Integer work: about 20 instructions a weight.
#pragma once
#include "attention.cuh"
#include "philox.cuh"
#include "step_state.cuh"

struct NoDropout {
  static constexpr bool kOn = false;
  float kept = 1.0f;
  __device__ __forceinline__ void open(int, int) {}
};

struct Dropout {
  static constexpr bool kOn = true;
  const StepState* state;
  int site;
  uint32_t threshold;
  float kept;  // what a weight is multiplied by that is not dropped
  uint32_t key0, key1;  // of the head opened

  __device__ __forceinline__ void open(int batch, int head) {
    uint32_t words[kWords] = {static_cast<uint32_t>(head), static_cast<uint32_t>(state->first_sequence + batch), static_cast<uint32_t>(state->step), static_cast<uint32_t>(site)};
    philox(words, static_cast<uint32_t>(state->seed), static_cast<uint32_t>(state->seed >> 32));
    key0 = words[0], key1 = words[1];
  }
};
#define DROPOUT_PARAMETERS const StepState *state, int site, unsigned threshold, float kept
#define AS_DROPOUT \
  Dropout { state, site, threshold, kept, 0, 0 }

// Tells `use(r, c, kept)` of each element of a thread's part of a tile whether it stays. kOfKeys: rows are keys.
template <class M, bool kOfKeys, class Use>
__device__ __forceinline__ void draw(const Dropout& dropout, int row, int col, Use use) {
  constexpr int kRowMate = M::kRowMate, kColMate = M::kColMate;  // elements to the one 8 away; 0: another thread has it
  auto block = [](int index) { return static_cast<uint32_t>(index) / 16 * 8 + static_cast<uint32_t>(index) % 8; };
#pragma unroll
  for (int r = 0; r < M::kMyRows; r++) {
    if (kRowMate != 0 && r / (kRowMate + (kRowMate == 0)) % 2 == 1) continue;
#pragma unroll
    for (int c = 0; c < M::kMyCols; c++) {
      if (kColMate != 0 && c / (kColMate + (kColMate == 0)) % 2 == 1) continue;
      int i = row + M::row(r), j = col + M::col(c);
      uint32_t words[kWords] = {block(kOfKeys ? i : j), block(kOfKeys ? j : i), 0, 0};
      philox(words, dropout.key0, dropout.key1);
#pragma unroll
      for (int of_row = 0; of_row <= (kRowMate != 0); of_row++) {
#pragma unroll
        for (int of_col = 0; of_col <= (kColMate != 0); of_col++) {
          bool low_row = kRowMate != 0 ? of_row == 0 : i / 8 % 2 == 0, low_col = kColMate != 0 ? of_col == 0 : j / 8 % 2 == 0;
          bool low_query = kOfKeys ? low_col : low_row, low_key = kOfKeys ? low_row : low_col;
          uint32_t word = low_query ? (low_key ? words[0] : words[1]) : (low_key ? words[2] : words[3]);
          use(r + of_row * kRowMate, c + of_col * kColMate, word >= dropout.threshold);
        }
      }
    }
  }
}
