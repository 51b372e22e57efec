// attention_backward_hopper.cu — the kernels of attention_backward_hopper.cuh
#include "attention_backward_hopper.cuh"

BACKWARD(64, bf16, bf16)
BACKWARD(64, f16, f16)
BACKWARD(128, bf16, bf16)
BACKWARD(128, f16, f16)
