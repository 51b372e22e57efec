// tensor_sum.h: the sums of tensor cores as the hardware makes them, for JAVELIN_EMULATOR_TENSOR=truncated.
//
// A core adds c and several products at once. Their significands are aligned to the largest exponent among them and cut
// off a few bits below the last of fp32; the sum is exact from there, and is cut off, not rounded, to fp32. On 8.x eight
// products of halves (four of tf32) meet in one sum with one bit to spare, on 9.0 sixteen (eight) with two. Found out by
// experiment: F. A. Khattak, M. Mikaitis, "Accurate Models of NVIDIA Tensor Cores" (arXiv:2512.07004).
#pragma once
#include "tensor_core.h"

namespace emulator {

bool tensorTruncates();

// c + Σ_k a[k] · b[k · stride], in groups as the device's cores add them.
float tensorSum(MmaType type, float c, const float* a, const float* b, int stride, int count);

}  // namespace emulator
