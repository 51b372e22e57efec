package dev.javelin.device;

import jcuda.driver.CUevent;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/**
 * A mark in a stream: something to wait for, and a time. Any thread may use it; each call takes its
 * turn on the device.
 */
public final class CudaEvent implements AutoCloseable {
  private final Cuda cuda;
  private final CUevent handle = new CUevent();

  CudaEvent(Cuda cuda) {
    this.cuda = cuda;
    CudaDriver.check(JCudaDriver.cuEventCreate(handle, 0), "creating an event");
  }

  /** Whether all work before the mark is done. */
  public boolean isDone() {
    try (Turn _ = cuda.turn()) {
      cuda.requireNoCapture("querying an event");
      cuda.bind();
      int result = JCudaDriver.cuEventQuery(handle);
      if (result == CUresult.CUDA_ERROR_NOT_READY) {
        return false;
      }
      cuda.checkAfterwards(result, "querying an event");
      return true;
    }
  }

  /** Waits until all work before the mark is done. */
  public void synchronize() {
    try (Turn _ = cuda.turn()) {
      cuda.requireNoCapture("waiting for an event");
      cuda.bind();
      cuda.checkAfterwards(JCudaDriver.cuEventSynchronize(handle), "waiting for an event");
    }
  }

  /** Milliseconds of the GPU's time between {@code begin} and this event; both must be done. */
  public float millisSince(CudaEvent begin) {
    try (Turn _ = cuda.turn()) {
      cuda.bind();
      float[] millis = new float[1];
      CudaDriver.check(
          JCudaDriver.cuEventElapsedTime(millis, begin.handle, handle), "reading an event's time");
      return millis[0];
    }
  }

  CUevent handle() {
    return handle;
  }

  @Override
  public void close() {
    try (Turn _ = cuda.turn()) {
      if (cuda.isOpen()) {
        cuda.bind();
        int ignored = JCudaDriver.cuEventDestroy(handle);
      }
    }
  }
}
