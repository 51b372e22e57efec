package dev.javelin.kernels.cuda;

import static dev.javelin.device.DType.BF16;

import dev.javelin.device.DeviceMemory;

/**
 * Attention of {@code attention_forward_hopper.cu} as the library launches it, and the same by
 * plain loops. Keys are zeros, so that a query weighs alike what it sees: sums of small integers,
 * exact in fp32.
 *
 * <p>Five tiles of keys go through rings of two. The last queries see them all, the first do not.
 */
final class HopperAttention {
  private static final int QUERIES = 70;
  private static final int KEYS = 600;
  private static final int DIM = 64;

  private static final HostMatrix Q = HostMatrix.integers(BF16, QUERIES, DIM, 1);
  private static final HostMatrix K = HostMatrix.integers(BF16, KEYS, DIM, 2).filled(0);
  private static final HostMatrix V = HostMatrix.integers(BF16, KEYS, DIM, 3);

  private HopperAttention() {}

  /** Under a causal mask: where the result is wrong; "" if it is right. */
  static String causal(Gpu gpu) {
    HostMatrix nothing = Q.filled(Float.NaN);
    DeviceMemory o = nothing.upload(gpu);
    AttentionHopper.forward(
        gpu.cuda(),
        heads(o, QUERIES),
        gpu.bytes(4 * QUERIES),
        heads(Q.upload(gpu), QUERIES),
        heads(K.upload(gpu), KEYS),
        heads(V.upload(gpu), KEYS),
        new CudaMask(true, 0, 0, null, null, null, null),
        1);
    gpu.synchronize();
    HostMatrix got = Q.download(gpu, o);
    for (int t = 0; t < QUERIES; t++) {
      int seen = KEYS - QUERIES + t + 1;
      for (int d = 0; d < DIM; d++) {
        float sum = 0;
        for (int j = 0; j < seen; j++) {
          sum += V.at(j, d);
        }
        float want = Halves.round(BF16, sum * (1.0f / seen));
        if (got.at(t, d) != want) { // NaN included
          return "o[%d, %d] is %s, not %s".formatted(t, d, got.at(t, d), want);
        }
      }
    }
    return "";
  }

  private static CudaHeads heads(DeviceMemory memory, int time) {
    return new CudaHeads(memory, BF16, 1, time, 1, DIM, 0, DIM, DIM, false);
  }
}
