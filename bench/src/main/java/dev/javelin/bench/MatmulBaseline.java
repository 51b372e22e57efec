package dev.javelin.bench;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import java.util.Optional;

/** Another library's matrix product on a GPU, to hold ours against. Nothing in training uses it. */
interface MatmulBaseline extends AutoCloseable {

  /** The library with its version. */
  String name();

  /**
   * {@code c [m, n] = a [m, k] · bᵀ} with b [n, k], all row-major and of one float type, fp32 sums;
   * queued on the device's compute stream.
   */
  void nt(Addressable c, Addressable a, Addressable b, DType type, int m, int n, int k);

  @Override
  void close();

  /** cuBLAS, where the system has one of CUDA 13 or 12. */
  static Optional<MatmulBaseline> find(Cuda cuda) {
    return Cublas.open(cuda).map(c -> c);
  }
}
