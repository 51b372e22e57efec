package dev.javelin.bench;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.kernels.cpu.MatmulCpu;
import dev.javelin.kernels.cuda.CudaMatrix;
import dev.javelin.kernels.cuda.MatmulCuda;
import dev.javelin.tensor.Tensor;

/**
 * One matrix product, written {@code MxNxK-layout}: {@code nn} is A · B, {@code nt} is A · Bᵀ
 * (forward of a linear layer), {@code tn} is C += Aᵀ · B (its weight's gradient, F32).
 */
record MatmulShape(int m, int n, int k, boolean transA, boolean transB) implements TensorShape {

  static MatmulShape parse(String name) {
    String[] part = name.split("[x-]");
    return new MatmulShape(
        Integer.parseInt(part[0]),
        Integer.parseInt(part[1]),
        Integer.parseInt(part[2]),
        part[3].charAt(0) == 't',
        part[3].charAt(1) == 't');
  }

  @Override
  public double flops() {
    return 2.0 * m * n * k;
  }

  /** A weight's gradient is fp32 and added to. */
  @Override
  public Cost cost(DType type) {
    double operands = ((double) m * k + (double) k * n) * type.bytes(1);
    double result = (double) m * n * (transA ? 2 * DType.F32.bytes(1) : type.bytes(1));
    return type == DType.F32
        ? new Cost(operands + result, 0, flops())
        : new Cost(operands + result, flops(), 0);
  }

  Runnable on(Operands operands) {
    Tensor a = transA ? operands.random(k, m) : operands.random(m, k);
    Tensor b = transB ? operands.random(n, k) : operands.random(k, n);
    Tensor c = transA ? operands.random(DType.F32, m, n) : operands.random(m, n);
    return switch (operands.device()) {
      case Cpu cpu ->
          () ->
              MatmulCpu.run(
                  cpu,
                  c.segment(),
                  c.dtype(),
                  n,
                  a.segment(),
                  a.dtype(),
                  a.last(),
                  transA,
                  b.segment(),
                  b.dtype(),
                  b.last(),
                  transB,
                  m,
                  n,
                  k,
                  transA);
      case Cuda cuda -> {
        CudaMatrix to = matrix(c, false);
        CudaMatrix left = matrix(a, transA);
        CudaMatrix right = matrix(b, transB);
        yield () -> MatmulCuda.run(cuda, to, left, right, m, n, k, 1, transA);
      }
    };
  }

  private static CudaMatrix matrix(Tensor t, boolean transposed) {
    return new CudaMatrix(t, t.dtype(), t.last(), transposed);
  }

  /** The same product by another library. */
  Runnable on(Operands operands, MatmulBaseline baseline) {
    if (transA || !transB) {
      throw new UnsupportedOperationException(baseline.name() + ": measured for A · Bᵀ");
    }
    Tensor a = operands.random(m, k);
    Tensor b = operands.random(n, k);
    Tensor c = operands.random(m, n);
    return () -> baseline.nt(c, a, b, a.dtype(), m, n, k);
  }
}
