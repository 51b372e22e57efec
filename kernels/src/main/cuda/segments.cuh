// segments.cuh: what the update rules of optimizers share: parts of the flat buffers, each with its rate and decay.
#pragma once
#include "step_state.cuh"

constexpr int kMaxSegments = 16;
constexpr int kConstantsBytes = 64;  // of a segment, at most: what a rule's first pass computes for its second

// Elements [from, to) that are updated alike; by value, so it is part of a recorded launch.
struct Segments {
  int64_t from[kMaxSegments], to[kMaxSegments];
  double lr_scale[kMaxSegments], weight_decay[kMaxSegments];
};
