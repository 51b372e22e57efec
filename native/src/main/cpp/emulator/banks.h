// banks.h: counts the turns that accesses of shared memory take, for JAVELIN_EMULATOR_BANKS=1 and checked images.
//
// Shared memory has 32 banks of 4-byte words. In one turn each bank gives or takes one word, for however many lanes want
// it. A warp's access of up to 4 bytes a lane takes at least one turn, of 8 bytes two (16 lanes each), of 16 bytes four
// (8 lanes each); ldmatrix, stmatrix and cp.async of 16 bytes are such. Lanes that want different words of one bank take
// turns. Lanes run one after the other here: the n-th access of one line by each lane of a warp is taken for one access.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace emulator::banks {

bool isOn();
void note(uint32_t thread, size_t offset, size_t bytes, bool write, const void* site);  // of shared memory
void endBlock();

// Since the last call, a line for each place in the source:
//   FILE:LINE read|write BYTES ACCESSES TURNS LEAST
std::string take();

}  // namespace emulator::banks
