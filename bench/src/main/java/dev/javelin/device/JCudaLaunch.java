package dev.javelin.device;

import jcuda.NativePointerObject;
import jcuda.Pointer;
import jcuda.driver.JCudaDriver;

/** The launch as JCuda does it, which the engine does not use: for its speed only. */
public final class JCudaLaunch {
  private final Cuda cuda;
  private final CudaKernel kernel;

  public JCudaLaunch(CudaKernel kernel, Cuda cuda) {
    this.kernel = kernel;
    this.cuda = cuda;
  }

  /** One block with a pointer, a float and a 64-bit integer, wrapped anew for each launch. */
  public void run(DeviceMemory y, float value, long n) {
    Pointer arguments =
        Pointer.to(
            new NativePointerObject[] {
              Pointer.to(y.base()), Pointer.to(new float[] {value}), Pointer.to(new long[] {n})
            });
    CudaDriver.check(
        JCudaDriver.cuLaunchKernel(
            kernel.handle(),
            1,
            1,
            1,
            kernel.blockSize(),
            1,
            1,
            0,
            cuda.compute().handle(),
            arguments,
            null),
        "launching " + kernel);
  }
}
