package dev.javelin.kernels.cuda;

import static dev.javelin.device.DType.BF16;

import dev.javelin.device.DeviceMemory;

/**
 * Attention of {@code attention_forward_hopper.cu} as the library launches it, and the same by
 * plain loops. A key's score is a power of 2 that all queries share, so that weights are too: sums
 * of small integers by such weights, exact in fp32.
 *
 * <p>One block takes the queries of three heads, of two first; four tiles of keys of each go
 * through rings of two. The last queries see them all, the first do not. Scores rise by more than
 * fp32 holds, by more than the kernel lets them before it scales its sums, then by less.
 */
final class HopperAttention {
  private static final int HEADS = 3;
  private static final int QUERIES = 70;
  private static final int KEYS = 470;
  private static final int TILE = 128;
  private static final int DIM = 64;
  private static final int COLS = HEADS * DIM;

  /** What the kernel multiplies scores by to get powers of 2: just 1. */
  private static final float SCALE = (float) Math.log(2);

  private static final HostMatrix Q = HostMatrix.integers(BF16, QUERIES, COLS, 1).filled(1);
  private static final HostMatrix K = HostMatrix.integers(BF16, KEYS, COLS, 2).filled(0);
  private static final HostMatrix V = HostMatrix.integers(BF16, KEYS, COLS, 3);

  static {
    for (int j = 0; j < KEYS; j++) {
      for (int h = 0; h < HEADS; h++) {
        K.values()[j * COLS + h * DIM] = exponent(j);
      }
    }
  }

  private HopperAttention() {}

  /** Of a key, for all queries. */
  private static int exponent(int key) {
    return key / TILE == 0 ? -130 : key / TILE == 1 ? 0 : key / TILE == 2 ? 10 : 14;
  }

  /** Under a causal mask: where the result is wrong; "" if it is right. */
  static String causal(Gpu gpu) {
    HostMatrix nothing = Q.filled(Float.NaN);
    DeviceMemory o = nothing.upload(gpu);
    AttentionHopper.forward(
        gpu.cuda(),
        heads(o, QUERIES),
        gpu.bytes(4 * QUERIES * HEADS),
        heads(Q.upload(gpu), QUERIES),
        heads(K.upload(gpu), KEYS),
        heads(V.upload(gpu), KEYS),
        new CudaMask(true, 0, 0, null, null, null, null),
        SCALE,
        1,
        2);
    gpu.synchronize();
    HostMatrix got = Q.download(gpu, o);
    for (int t = 0; t < QUERIES; t++) {
      int seen = KEYS - QUERIES + t + 1;
      for (int c = 0; c < COLS; c++) {
        float sum = 0;
        float total = 0;
        for (int j = 0; j < seen; j++) {
          float weight = Math.scalb(1f, exponent(j) - exponent(2 * TILE));
          sum += weight * V.at(j, c);
          total += weight;
        }
        float want = Halves.round(BF16, sum * (1.0f / total));
        if (got.at(t, c) != want) { // NaN included
          return "o[%d, %d] is %s, not %s".formatted(t, c, got.at(t, c), want);
        }
      }
    }
    return "";
  }

  private static CudaHeads heads(DeviceMemory memory, int time) {
    return new CudaHeads(memory, BF16, 1, time, HEADS, DIM, 0, COLS, DIM, false);
  }
}
