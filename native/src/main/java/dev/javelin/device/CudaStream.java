package dev.javelin.device;

import jcuda.driver.JCudaDriver;

/**
 * A queue of a GPU's work, done in order. Two streams run side by side unless one waits for the
 * other's {@link CudaEvent}. Any thread may use it; each call takes its turn on the device.
 */
public final class CudaStream implements AutoCloseable {
  private static final int NON_BLOCKING = 1; // CU_STREAM_NON_BLOCKING: no order with stream 0

  private final Cuda cuda;
  private final Handles.Stream handle = new Handles.Stream();
  private final long number;

  CudaStream(Cuda cuda) {
    this.cuda = cuda;
    CudaDriver.check(JCudaDriver.cuStreamCreate(handle, NON_BLOCKING), "opening a stream");
    this.number = handle.number();
  }

  /**
   * Copies on this stream and does not wait. Host memory must be pinned and left alone until the
   * copy is done, which an event after it tells.
   */
  public void copy(Memory dst, long dstOffset, Memory src, long srcOffset, long bytes) {
    try (Turn _ = cuda.turn()) {
      requirePinned(dst);
      requirePinned(src);
      CudaCopy.enqueue(cuda, this, dst, dstOffset, src, srcOffset, bytes);
    }
  }

  private static void requirePinned(Memory m) {
    if (m instanceof HostMemory host && !host.isPinned()) {
      throw new IllegalArgumentException(
          "a copy that does not wait needs pinned host memory: take it from Cuda.pinned");
    }
  }

  /** Marks this point of the queue. */
  public void record(CudaEvent event) {
    try (Turn _ = cuda.turn()) {
      cuda.bind();
      cuda.checkAfterwards(JCudaDriver.cuEventRecord(event.handle(), handle), "recording an event");
    }
  }

  /** Work queued from now on begins after {@code event}; the host does not wait. */
  public void await(CudaEvent event) {
    try (Turn _ = cuda.turn()) {
      cuda.bind();
      cuda.checkAfterwards(
          JCudaDriver.cuStreamWaitEvent(handle, event.handle(), 0), "waiting for an event");
    }
  }

  /** Waits until everything queued is done. */
  public void synchronize() {
    try (Turn _ = cuda.turn()) {
      cuda.requireNoCapture("waiting for a stream");
      cuda.bind();
      cuda.checkAfterwards(JCudaDriver.cuStreamSynchronize(handle), "waiting for a stream");
    }
  }

  Handles.Stream handle() {
    return handle;
  }

  /** The driver's {@code CUstream}, for libraries that are to queue their work here too. */
  public long number() {
    return number;
  }

  /** A failed device refuses this too; what failed has been reported where it was noticed. */
  @Override
  public void close() {
    try (Turn _ = cuda.turn()) {
      if (cuda.isOpen()) {
        cuda.bind();
        int ignored = JCudaDriver.cuStreamDestroy(handle);
      }
    }
  }
}
