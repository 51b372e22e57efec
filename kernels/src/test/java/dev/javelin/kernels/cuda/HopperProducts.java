package dev.javelin.kernels.cuda;

import static dev.javelin.device.DType.BF16;

import dev.javelin.device.DeviceMemory;
import dev.javelin.kernels.Activation;
import dev.javelin.kernels.cuda.MatmulCuda.Epilogue;

/**
 * Products of {@code matmul_hopper.cuh} as the library launches them, and the same by plain loops.
 * Sums of small integers are exact in fp32, so that each element has one right value.
 *
 * <p>Six tiles are two for some of the emulated device's four multiprocessors, or for some of their
 * clusters. A tile takes six steps, the ring has five stages: turns do not begin with tiles.
 */
final class HopperProducts {
  private static final int M = 136;
  private static final int N = 264;
  private static final int K = 328; // the last step is one eighth of a step
  private static final int COLUMNS = 128;

  private static final HostMatrix X = HostMatrix.integers(BF16, M, K, 1);
  private static final HostMatrix W = HostMatrix.integers(BF16, N, K, 2);
  private static final HostMatrix BIAS = HostMatrix.integers(BF16, 1, N, 3);
  private static final HostMatrix Z = product(X, W, BIAS);

  private static final HostMatrix LEFT = HostMatrix.integers(BF16, K, M, 4);
  private static final HostMatrix RIGHT = HostMatrix.integers(BF16, K, N, 5);
  private static final HostMatrix BEFORE = HostMatrix.integers(BF16, M, N, 6);
  private static final HostMatrix SUM = product(transposed(LEFT), transposed(RIGHT), BEFORE);

  private HopperProducts() {}

  /**
   * {@code y = relu(x·wᵀ + bias)}, and z before relu, by clusters of so many blocks: where one is
   * wrong; "" if both are right.
   */
  static String layer(Gpu gpu, int cluster) {
    HostMatrix nothing = Z.filled(Float.NaN);
    DeviceMemory y = nothing.upload(gpu);
    DeviceMemory z = nothing.upload(gpu);
    var end = new Epilogue(BIAS.upload(gpu), z, N, Activation.RELU);
    run(gpu, cluster, y, X.matrix(X.upload(gpu), false), W.matrix(W.upload(gpu), true), false, end);
    String wrong = difference("z", Z.download(gpu, z), Z, Float.NEGATIVE_INFINITY);
    return wrong.isEmpty() ? difference("y", Z.download(gpu, y), Z, 0) : wrong;
  }

  /** {@code c += leftᵀ·right}: where it is wrong; "" if it is right. */
  static String weightGradient(Gpu gpu, int cluster) {
    DeviceMemory c = BEFORE.upload(gpu);
    CudaMatrix left = LEFT.matrix(LEFT.upload(gpu), true);
    run(gpu, cluster, c, left, RIGHT.matrix(RIGHT.upload(gpu), false), true, Epilogue.NONE);
    return difference("c", SUM.download(gpu, c), SUM, Float.NEGATIVE_INFINITY);
  }

  private static void run(
      Gpu gpu,
      int cluster,
      DeviceMemory c,
      CudaMatrix a,
      CudaMatrix b,
      boolean accumulate,
      Epilogue end) {
    MatmulHopperPlan plan = MatmulHopperPlan.inParts(COLUMNS, 1, K).inClusters(cluster);
    CudaMatrix to = new CudaMatrix(c, BF16, N, false);
    MatmulHopper.run(gpu.cuda(), plan, to, a, b, M, N, K, accumulate, end);
    gpu.synchronize();
  }

  /** {@code a·bᵀ + c}, with the one row of c for each, or its own. */
  private static HostMatrix product(HostMatrix a, HostMatrix b, HostMatrix c) {
    float[] values = new float[M * N];
    for (int i = 0; i < M; i++) {
      for (int j = 0; j < N; j++) {
        float sum = c.at(i % c.rows(), j);
        for (int l = 0; l < K; l++) {
          sum += a.at(i, l) * b.at(j, l);
        }
        values[i * N + j] = Halves.round(BF16, sum);
      }
    }
    return new HostMatrix(BF16, M, N, 0, values);
  }

  private static HostMatrix transposed(HostMatrix a) {
    float[] values = new float[a.values().length];
    for (int i = 0; i < values.length; i++) {
      values[i] = a.at(i % a.rows(), i / a.rows());
    }
    return new HostMatrix(a.type(), a.cols(), a.rows(), 0, values);
  }

  /** The first element that is not {@code max(want, least)}; "" if there is none. */
  private static String difference(String name, HostMatrix got, HostMatrix want, float least) {
    for (int i = 0; i < M * N; i++) {
      float right = Math.max(want.values()[i], least);
      if (got.values()[i] != right) { // NaN included
        return "%s[%d, %d] is %s, not %s".formatted(name, i / N, i % N, got.values()[i], right);
      }
    }
    return "";
  }
}
