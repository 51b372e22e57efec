package dev.javelin.device;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.util.Optional;
import jcuda.driver.CUresult;

/**
 * The driver calls that go through FFM: the launch, because it is many times faster than JCuda's,
 * and what JCuda 12.6 does not have. Addresses are plain longs. A function that the driver lacks
 * answers {@code CUDA_ERROR_NOT_SUPPORTED}.
 *
 * <p>The class is initialised at the first use, when the library of this process is settled, so
 * that the handles are constants to the compiler. None is a critical call: a launch waits when the
 * driver's queue is full, and a critical call would hold up the garbage collector meanwhile.
 */
final class DriverCalls {
  static final int NOT_SUPPORTED = CUresult.CUDA_ERROR_NOT_SUPPORTED;

  /** function, grid x y z, block x y z, shared bytes, stream, parameters, extra. */
  private static final MethodHandle LAUNCH =
      find(
          "cuLaunchKernel",
          JAVA_LONG,
          JAVA_INT,
          JAVA_INT,
          JAVA_INT,
          JAVA_INT,
          JAVA_INT,
          JAVA_INT,
          JAVA_INT,
          JAVA_LONG,
          JAVA_LONG,
          JAVA_LONG);

  /** configuration, function, parameters, extra. */
  private static final MethodHandle LAUNCH_EX =
      find("cuLaunchKernelEx", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);

  /** function, index, offset, size. */
  private static final MethodHandle PARAMETER =
      find("cuFuncGetParamInfo", JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG);

  /** map, type, rank, base, sizes, strides, box, element strides, interleave, swizzle, L2, fill. */
  private static final MethodHandle ENCODE_TILED =
      find(
          "cuTensorMapEncodeTiled",
          JAVA_LONG,
          JAVA_INT,
          JAVA_INT,
          JAVA_LONG,
          JAVA_LONG,
          JAVA_LONG,
          JAVA_LONG,
          JAVA_LONG,
          JAVA_INT,
          JAVA_INT,
          JAVA_INT,
          JAVA_INT);

  private DriverCalls() {}

  static int launch(
      long function, int x, int y, int z, int block, int shared, long stream, long parameters) {
    try {
      return (int)
          LAUNCH.invokeExact(function, x, y, z, block, 1, 1, shared, stream, parameters, 0L);
    } catch (Throwable e) {
      throw new IllegalStateException("cuLaunchKernel", e);
    }
  }

  static int launchEx(long configuration, long function, long parameters) {
    try {
      return (int) LAUNCH_EX.invokeExact(configuration, function, parameters, 0L);
    } catch (Throwable e) {
      throw new IllegalStateException("cuLaunchKernelEx", e);
    }
  }

  /** Writes where parameter {@code index} lies and how long it is. */
  static int parameter(long function, long index, MemorySegment offset, MemorySegment size) {
    try {
      return (int) PARAMETER.invokeExact(function, index, offset.address(), size.address());
    } catch (Throwable e) {
      throw new IllegalStateException("cuFuncGetParamInfo", e);
    }
  }

  static int encodeTiled(
      long map,
      int type,
      int rank,
      long base,
      long sizes,
      long strides,
      long box,
      long steps,
      int swizzle,
      int promotion) {
    try {
      return (int)
          ENCODE_TILED.invokeExact(
              map, type, rank, base, sizes, strides, box, steps, 0, swizzle, promotion, 0);
    } catch (Throwable e) {
      throw new IllegalStateException("cuTensorMapEncodeTiled", e);
    }
  }

  private static MethodHandle find(String name, MemoryLayout... parameters) {
    FunctionDescriptor type = FunctionDescriptor.of(JAVA_INT, parameters);
    Optional<MemorySegment> function = CudaDriver.current().symbol(name);
    return function.isPresent()
        ? Linker.nativeLinker().downcallHandle(function.get(), type)
        : MethodHandles.dropArguments(
            MethodHandles.constant(int.class, NOT_SUPPORTED),
            0,
            type.toMethodType().parameterList());
  }
}
