// check_warp.cu — one small kernel per warp or block operation; WarpConformanceTest holds each against a plain loop.
#include "common.cuh"

// out[op][lane]: shuffles in segments of `width` lanes, value 100 + lane, operand 3.
KERNEL(check_warp_shuffle, (int* out, int width), 32) {
  int lane = lane_index(), v = 100 + lane;
  out[lane] = __shfl_sync(0xffffffffu, v, 3, width);
  out[32 + lane] = __shfl_up_sync(0xffffffffu, v, 3, width);
  out[64 + lane] = __shfl_down_sync(0xffffffffu, v, 3, width);
  out[96 + lane] = __shfl_xor_sync(0xffffffffu, v, 3, width);
}

// The two halves of a warp apart, each with its own mask, in one call and in two branches.
KERNEL(check_warp_masks, (int* out), 32) {
  int lane = lane_index();
  unsigned mask = lane < 16 ? 0x0000ffffu : 0xffff0000u;
  out[lane] = __shfl_xor_sync(mask, lane, 5);
  if (lane < 16) {
    out[32 + lane] = __shfl_sync(0x0000ffffu, lane, 7);
  } else {
    out[32 + lane] = __shfl_sync(0xffff0000u, lane, 20);
  }
  __syncwarp();
  out[64 + lane] = out[32 + (lane ^ 31)];
}

KERNEL(check_warp_vote, (unsigned* out), 32) {
  int lane = lane_index();
  out[lane] = __ballot_sync(0xffffffffu, lane % 3 == 0);
  out[32 + lane] = __any_sync(0xffffffffu, lane == 31);
  out[64 + lane] = __any_sync(0xffffffffu, lane == 32);
  out[96 + lane] = __all_sync(0xffffffffu, lane < 32);
  out[128 + lane] = __all_sync(0xffffffffu, lane < 31);
  out[160 + lane] = __match_any_sync(0xffffffffu, lane / 5);
  int all;
  out[192 + lane] = __match_all_sync(0xffffffffu, lane / 32, &all) + all;
  out[224 + lane] = __match_all_sync(0xffffffffu, lane / 31, &all) + all;
}

KERNEL(check_warp_reduce, (unsigned* out, const unsigned* in), 32) {
  int lane = lane_index();
  unsigned v = in[lane];
  int s = static_cast<int>(v);
  out[lane] = __reduce_add_sync(0xffffffffu, v);
  out[32 + lane] = __reduce_min_sync(0xffffffffu, v);
  out[64 + lane] = __reduce_max_sync(0xffffffffu, v);
  out[96 + lane] = static_cast<unsigned>(__reduce_min_sync(0xffffffffu, s));
  out[128 + lane] = static_cast<unsigned>(__reduce_max_sync(0xffffffffu, s));
  out[160 + lane] = __reduce_and_sync(0xffffffffu, v);
  out[192 + lane] = __reduce_or_sync(0xffffffffu, v);
  out[224 + lane] = __reduce_xor_sync(0xffffffffu, v);
}

// out: sum, maximum, minimum of each warp by lane; then the block's sum and maximum by thread.
KERNEL(check_warp_float, (float* out, const float* in), 160) {
  int i = threadIdx.x;
  out[i] = warp_sum(in[i]);
  out[160 + i] = warp_max(in[i]);
  out[320 + i] = warp_min(in[i]);
  out[480 + i] = block_sum<160>(in[i]);
  out[640 + i] = block_max<160>(in[i]);
}

// How many threads of the block have an even, a non-negative, a negative index; threads beyond `live` have ended.
KERNEL(check_warp_barrier, (int* out, int live), 96) {
  int i = threadIdx.x;
  if (i >= live) return;
  out[i] = __syncthreads_count(i % 2 == 0);
  out[96 + i] = __syncthreads_and(i >= 0);
  out[192 + i] = __syncthreads_and(i % 2 == 0);
  out[288 + i] = __syncthreads_or(i < 0);
  out[384 + i] = __syncthreads_or(i == live - 1);
}

// Warps 0 and 1 fill, warps 2 and 3 read: a barrier at which the first only arrive.
KERNEL(check_warp_named, (int* out), 128) {
  __shared__ int box[64];
  int i = threadIdx.x;
  if (i < 64) {
    box[i] = 3 * i;
    __threadfence_block();
    named_barrier_arrive(1, 128);
    named_barrier_sync(2, 64);
  } else {
    named_barrier_sync(1, 128);
    out[i - 64] = box[127 - i];
  }
}

// counter[0]: a sum, counter[1]: a maximum; counter[2]: the number of blocks done, and the last of them adds all parts.
KERNEL(check_warp_atomic, (int* counter, float* parts, float* total), 64) {
  __shared__ bool last;
  int i = blockIdx.x * 64 + threadIdx.x;
  atomicAdd(&counter[0], i);
  atomicMax(&counter[1], i);
  float sum = block_sum<64>(static_cast<float>(i));
  if (threadIdx.x == 0) {
    parts[blockIdx.x] = sum;
    __threadfence();
    last = atomicInc(reinterpret_cast<unsigned*>(&counter[2]), gridDim.x - 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (last && threadIdx.x == 0) {
    float all = 0;
    for (int b = 0; b < static_cast<int>(gridDim.x); b++) all += parts[b];
    *total = all;
  }
}

// Conversions and functions with a wrapper of their own, n values each.
KERNEL(check_warp_convert, (float* out, const float* in, int n), 256) {
  for (int i = threadIdx.x; i < n; i += 256) {
    float x = in[i];
    out[i] = to_float(from_float<bf16>(x));
    out[n + i] = to_float(from_float<f16>(x));
    out[2 * n + i] = __uint_as_float(to_tf32(x));
    out[3 * n + i] = exp2_approx(x);
    out[4 * n + i] = tanh_approx(x);
    uint32_t two = pack<bf16>(x, -x);
    out[5 * n + i] = unpack<bf16>(two, false) - unpack<bf16>(two, true);
    two = pack<f16>(x, -x);
    out[6 * n + i] = unpack<f16>(two, false) - unpack<f16>(two, true);
    out[7 * n + i] = reciprocal_approx(x);
  }
}
