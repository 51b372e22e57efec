// turns.h: the wrappers of hopper_turns.cuh: bulk copies out of shared memory, and turns at them.
#pragma once
#include "../bulk_copy.h"
#include "../turns.h"

inline void bulk_store(void* global, const void* shared, int bytes) { emulator::bulkStore(global, shared, static_cast<uint32_t>(bytes), false); }
inline void bulk_add(float* global, const void* shared, int bytes) { emulator::bulkStore(global, shared, static_cast<uint32_t>(bytes), true); }
inline void turn_wait(const int* counter, int turn) { emulator::turnWait(counter, turn); }
inline void turn_pass(int* counter, int next) { emulator::turnPass(counter, next); }
