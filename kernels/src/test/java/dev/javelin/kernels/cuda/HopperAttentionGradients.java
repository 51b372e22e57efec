package dev.javelin.kernels.cuda;

import static dev.javelin.device.DType.BF16;

import dev.javelin.device.DeviceMemory;

/**
 * The kernels of {@code attention_backward_hopper.cuh} as the library launches them, and the same
 * by plain loops. Queries are zeros where keys are not, and lse is 0, so that each query weighs
 * what it sees by 1: sums of small integers, exact in fp32.
 *
 * <p>Three blocks of keys add to dq in turns; for each of two query heads three tiles of queries go
 * through rings of three. The last queries see all keys, the first do not.
 */
final class HopperAttentionGradients {
  private static final int QUERIES = 130;
  private static final int KEYS = 300;
  private static final int HEADS = 2; // of queries; one of keys
  private static final int DIM = 64;
  private static final int PADDED = 192; // queries

  private static final HostMatrix Q = integers(QUERIES * HEADS, 1, 4, 0, DIM / 2);
  private static final HostMatrix DY = integers(QUERIES * HEADS, 2, 4, 0, DIM);
  private static final HostMatrix K = integers(KEYS, 3, 4, DIM / 2, DIM);
  private static final HostMatrix V = integers(KEYS, 4, 1, 0, DIM);
  private static final HostMatrix DELTA = integers(QUERIES * HEADS, 5, 4, 0, 1);

  private static final HostMatrix WANT_DQ = Q.filled(0);
  private static final HostMatrix WANT_DK = K.filled(0);
  private static final HostMatrix WANT_DV = V.filled(0);

  static {
    for (int t = 0; t < QUERIES; t++) {
      for (int h = 0; h < HEADS; h++) {
        int query = t * HEADS + h;
        for (int key = 0; key <= KEYS - QUERIES + t; key++) {
          float dp = 0;
          for (int d = 0; d < DIM; d++) {
            dp += DY.at(query, d) * V.at(key, d);
          }
          float ds = Halves.round(BF16, dp - DELTA.at(query, 0));
          for (int d = 0; d < DIM; d++) {
            WANT_DQ.values()[query * DIM + d] += ds * K.at(key, d);
            WANT_DK.values()[key * DIM + d] += ds * Q.at(query, d);
            WANT_DV.values()[key * DIM + d] += DY.at(query, d);
          }
        }
      }
    }
  }

  private HopperAttentionGradients() {}

  /** From -{@code most} to {@code most} in the columns [from, end), else 0. */
  private static HostMatrix integers(int rows, long seed, int most, int from, int end) {
    HostMatrix m = HostMatrix.integers(BF16, rows, DIM, seed);
    for (int i = 0; i < m.values().length; i++) {
      int d = i % DIM;
      m.values()[i] = d >= from && d < end ? m.values()[i] % (most + 1) : 0;
    }
    return m;
  }

  /** Under a causal mask: where a gradient is wrong; "" if they are right. */
  static String causal(Gpu gpu) {
    DeviceMemory dq = nothing(gpu, Q);
    DeviceMemory dk = nothing(gpu, K);
    DeviceMemory dv = nothing(gpu, V);
    CudaHeads q = ofQueries(Q.upload(gpu));
    AttentionBackwardHopper.run(
        gpu.cuda(),
        ofQueries(dq),
        ofKeys(dk),
        ofKeys(dv),
        ofQueries(DY.upload(gpu)),
        q,
        ofKeys(K.upload(gpu)),
        ofKeys(V.upload(gpu)),
        gpu.bytes(AttentionBackwardHopper.sumBytes(q, PADDED)),
        gpu.bytes(AttentionBackwardHopper.turnBytes(q, PADDED)),
        stats(gpu),
        PADDED,
        new CudaMask(true, 0, 0, null, null, null, null),
        1);
    gpu.synchronize();
    return difference("dq", Q.download(gpu, dq), WANT_DQ)
        + difference("dk", K.download(gpu, dk), WANT_DK)
        + difference("dv", V.download(gpu, dv), WANT_DV);
  }

  private static DeviceMemory nothing(Gpu gpu, HostMatrix like) {
    return like.filled(Float.NaN).upload(gpu);
  }

  /** As attention_backward_delta leaves them: lse·log2 e and delta of each query of a head. */
  private static DeviceMemory stats(Gpu gpu) {
    float[] pairs = new float[2 * HEADS * PADDED];
    for (int h = 0; h < HEADS; h++) {
      for (int t = 0; t < PADDED; t++) {
        int at = 2 * (h * PADDED + t);
        if (t < QUERIES) {
          pairs[at + 1] = DELTA.at(t * HEADS + h, 0);
        } else {
          pairs[at] = Float.POSITIVE_INFINITY;
        }
      }
    }
    return gpu.of(pairs);
  }

  private static CudaHeads ofQueries(DeviceMemory memory) {
    return new CudaHeads(memory, BF16, 1, QUERIES, HEADS, DIM, 0, HEADS * DIM, DIM, false);
  }

  private static CudaHeads ofKeys(DeviceMemory memory) {
    return new CudaHeads(memory, BF16, 1, KEYS, 1, DIM, 0, DIM, DIM, false);
  }

  private static String difference(String what, HostMatrix got, HostMatrix want) {
    for (int i = 0; i < want.values().length; i++) {
      float right = Halves.round(BF16, want.values()[i]);
      if (got.values()[i] != right) { // NaN included
        return "%s[%d, %d] is %s, not %s".formatted(what, i / DIM, i % DIM, got.values()[i], right);
      }
    }
    return "";
  }
}
