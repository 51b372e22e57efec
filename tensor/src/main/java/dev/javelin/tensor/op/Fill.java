package dev.javelin.tensor.op;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.kernels.cpu.FillCpu;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Writes one value to every element. */
public final class Fill {
  private Fill() {}

  /** {@code y = 0}; any type, any layout. */
  public static void zero(Tensor y) {
    if (!y.layout().hasDenseRows()) {
      for (int i = 0; i < y.dim(0); i++) {
        Tensor part = y.slice(0, i, i + 1);
        zero(y.rank() == 1 ? part : part.reshape(dropFirst(y)));
      }
      return;
    }
    if (y.elements() == 0) {
      return;
    }
    switch (y.device()) {
      case Cpu cpu ->
          FillCpu.zero(
              cpu,
              y.segment(),
              y.rows(),
              y.dtype().bytes(y.last()),
              y.dtype().bytes(y.rowStride()));
      case Cuda cuda -> {
        long width = y.dtype().bytes(y.last());
        cuda.fillRows(y, y.rows(), width, y.dtype().bytes(y.rowStride()), 0);
      }
    }
  }

  /** {@code y = value}; F32, contiguous; for small tensors such as the root of a backward pass. */
  public static void constant(Tensor y, float value) {
    Check.that("fill").dtype("y", y, DType.F32).contiguous("y", y);
    switch (y.device()) {
      case Cpu cpu -> {
        MemorySegment s = y.segment();
        for (long i = 0; i < y.elements(); i++) {
          s.setAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, i, value);
        }
      }
      case Cuda cuda -> cuda.fillWords(y, 0, y.elements(), Float.floatToRawIntBits(value));
    }
  }

  private static int[] dropFirst(Tensor y) {
    int[] dims = new int[y.rank() - 1];
    for (int i = 0; i < dims.length; i++) {
      dims[i] = y.dim(i + 1);
    }
    return dims;
  }
}
