package dev.javelin.kernels.cuda;

import dev.javelin.device.Cuda;
import dev.javelin.kernels.Activation;
import dev.javelin.kernels.cuda.CudaRows.Units;
import org.jspecify.annotations.Nullable;

/** {@code glu.cu}. */
public final class GluCuda {
  private GluCuda() {}

  /** {@code y = f(gate) · up}. */
  public static void forward(Cuda cuda, CudaRows y, CudaRows gate, CudaRows up, Activation f) {
    Units u = Units.of(y, gate, up);
    cuda.kernel("glu_forward", y.type())
        .threads(u.count())
        .ptr(y)
        .i64(y.stride())
        .ptr(gate)
        .i64(gate.stride())
        .ptr(up)
        .i64(up.stride())
        .i64(u.count())
        .i64(u.cols())
        .i32(CudaRows.flag(u.vectors()))
        .i32(f.ordinal())
        .run();
  }

  /** {@code dgate (+)= dy · up · f'(gate), dup (+)= dy · f(gate)}. */
  public static void backward(
      Cuda cuda,
      @Nullable CudaRows dgate,
      @Nullable CudaRows dup,
      CudaRows dy,
      CudaRows gate,
      CudaRows up,
      Activation f) {
    Units u = Units.of(gate, dgate, dup, dy, up);
    cuda.kernel("glu_backward", gate.type())
        .threads(u.count())
        .ptr(dgate)
        .i64(CudaRows.stride(dgate))
        .i32(CudaRows.adds(dgate))
        .ptr(dup)
        .i64(CudaRows.stride(dup))
        .i32(CudaRows.adds(dup))
        .ptr(dy)
        .i64(dy.stride())
        .ptr(gate)
        .i64(gate.stride())
        .ptr(up)
        .i64(up.stride())
        .i64(u.count())
        .i64(u.cols())
        .i32(CudaRows.flag(u.vectors()))
        .i32(f.ordinal())
        .run();
  }
}
