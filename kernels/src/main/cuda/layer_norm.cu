// layer_norm.cu — y = (s − mean(s))·rstd·w + b,  s = x + h; formulas, tiling, bytes and FLOPs: norm.cuh
//                                                             Ba, Kiros & Hinton 2016, arXiv:1607.06450
#include "norm.cuh"

NORM_INSTANCES(layer_norm, true)
