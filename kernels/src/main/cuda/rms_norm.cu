// rms_norm.cu — y = s·rstd·(w + offset),  s = x + h: norm.cuh with a mean of zero and without a bias
//                                                             Zhang & Sennrich 2019, arXiv:1910.07467
#include "norm.cuh"

NORM_INSTANCES(rms_norm, false)
