// glu.cu — y = f(gate)·up,  dgate (+)= dy·up·f'(gate),  dup (+)= dy·f(gate)          Shazeer 2020, arXiv:2002.05202
// Tiling: a thread per 16 bytes of a row (per element where rows are not aligned), 256 threads a block. Gate and up may
//   be halves of one packed tensor: every operand has its own row stride.
// Traffic (n elements of y, s bytes each): forward 3·n·s, backward 5·n·s; f(gate) is computed again, not kept.
//   FLOPs: 10 to 50 an element, so memory bound.
// Measured: not yet.
#include "activation.cuh"
#include "row.cuh"

template <class T, int N>
__device__ void glu_forward(T* y, int64_t y_stride, const T* gate, int64_t gate_stride, const T* up, int64_t up_stride, int64_t count, int64_t cols,
                            Activation f) {
  int64_t unit = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;  // elements may pass 2^31
  if (unit >= count) return;
  int64_t row = unit / cols, at = (unit - row * cols) * N;
  float g[N], u[N];
  load_floats(g, gate + row * gate_stride + at);
  load_floats(u, up + row * up_stride + at);
  with_activation(f, [&](auto of) {
#pragma unroll
    for (int i = 0; i < N; i++) u[i] *= activation_value(of, g[i]);
  });
  store_floats(y + row * y_stride + at, u);
}

// A destination nobody wants is null.
template <class T, int N>
__device__ void glu_backward(T* dgate, int64_t dgate_stride, bool add_gate, T* dup, int64_t dup_stride, bool add_up, const T* dy, int64_t dy_stride,
                             const T* gate, int64_t gate_stride, const T* up, int64_t up_stride, int64_t count, int64_t cols, Activation f) {
  int64_t unit = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (unit >= count) return;
  int64_t row = unit / cols, at = (unit - row * cols) * N;
  float d[N], g[N], u[N] = {};
  load_floats(d, dy + row * dy_stride + at);
  load_floats(g, gate + row * gate_stride + at);
  if (dgate != nullptr) load_floats(u, up + row * up_stride + at);
  float of_gate[N] = {}, of_up[N] = {};
  with_activation(f, [&](auto of) {
#pragma unroll
    for (int i = 0; i < N; i++) {
      of_gate[i] = u[i] * (d[i] * activation_derivative(of, g[i]));
      of_up[i] = d[i] * activation_value(of, g[i]);
    }
  });
  if (dgate != nullptr) emit_floats(dgate + row * dgate_stride + at, of_gate, add_gate);
  if (dup != nullptr) emit_floats(dup + row * dup_stride + at, of_up, add_up);
}

// The host says whether the rows can be read in vectors: it sized the grid by that.
#define INSTANCE(T, suffix)                                                                                                        \
  KERNEL(glu_forward_##suffix,                                                                                                     \
         (T * y, int64_t y_stride, const T* gate, int64_t gate_stride, const T* up, int64_t up_stride, int64_t count, int64_t cols, int vectors, int f), \
         256) {                                                                                                                    \
    if (vectors) {                                                                                                                 \
      glu_forward<T, kVecLength<T>>(y, y_stride, gate, gate_stride, up, up_stride, count, cols, Activation(f));                    \
    } else {                                                                                                                       \
      glu_forward<T, 1>(y, y_stride, gate, gate_stride, up, up_stride, count, cols, Activation(f));                                \
    }                                                                                                                              \
  }                                                                                                                                \
  KERNEL(glu_backward_##suffix,                                                                                                    \
         (T * dgate, int64_t dgate_stride, int add_gate, T* dup, int64_t dup_stride, int add_up, const T* dy, int64_t dy_stride, const T* gate, \
          int64_t gate_stride, const T* up, int64_t up_stride, int64_t count, int64_t cols, int vectors, int f),                   \
         256) {                                                                                                                    \
    if (vectors) {                                                                                                                 \
      glu_backward<T, kVecLength<T>>(dgate, dgate_stride, add_gate != 0, dup, dup_stride, add_up != 0, dy, dy_stride, gate, gate_stride, up, up_stride, \
                                     count, cols, Activation(f));                                                                  \
    } else {                                                                                                                       \
      glu_backward<T, 1>(dgate, dgate_stride, add_gate != 0, dup, dup_stride, add_up != 0, dy, dy_stride, gate, gate_stride, up, up_stride, count, cols, \
                         Activation(f));                                                                                           \
    }                                                                                                                              \
  }
INSTANCE(float, f32)
INSTANCE(bf16, bf16)
INSTANCE(f16, f16)
