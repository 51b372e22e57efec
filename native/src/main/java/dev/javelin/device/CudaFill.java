package dev.javelin.device;

import jcuda.driver.JCudaDriver;

/** Fills of a GPU's memory, queued on the compute stream by the thread whose turn it is. */
final class CudaFill {
  private static final long MAX_PITCH = Integer.MAX_VALUE; // CU_DEVICE_ATTRIBUTE_MAX_PITCH

  private CudaFill() {}

  static void rows(Cuda cuda, Handles.Address first, long rows, long bytes, long pitch, int value) {
    if (bytes == 0 || rows == 0) {
      return;
    }
    if (rows > 1 && pitch > MAX_PITCH) {
      for (long row = 0; row < rows; row++) {
        rows(cuda, first.plus(row * pitch), 1, bytes, bytes, value);
      }
      return;
    }
    cuda.bind();
    byte b = (byte) value;
    int result =
        rows == 1 || pitch == bytes
            ? JCudaDriver.cuMemsetD8Async(first, b, rows * bytes, cuda.compute().handle())
            : JCudaDriver.cuMemsetD2D8Async(first, pitch, b, bytes, rows, cuda.compute().handle());
    if (result != 0) {
      cuda.checkAfterwards(result, "filling " + rows + " x " + bytes + " bytes of device memory");
    }
  }

  /** The value is part of the command, so a graph repeats it. */
  static void words(Cuda cuda, Handles.Address first, long count, int value) {
    if (count == 0) {
      return;
    }
    cuda.bind();
    int result = JCudaDriver.cuMemsetD32Async(first, value, count, cuda.compute().handle());
    if (result != 0) {
      cuda.checkAfterwards(result, "filling " + count + " words of device memory");
    }
  }
}
