// device.h: CUDA C++ for a C++17 compiler. Included by common.cuh in the place of CUDA's own headers.
#pragma once
#include "atomics.h"
#include "builtins.h"
#include "half.h"
#include "math.h"
#include "memory_access.h"
#include "tensor_core.h"
#include "vector_types.h"
#include "warp.h"
