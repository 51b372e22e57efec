package dev.javelin.device;

import org.jspecify.annotations.Nullable;

/**
 * A block of a GPU's memory. The host sees its address only. Any thread may close it, which waits
 * for the thread whose turn it is on the device (see {@link Device#turn}); whoever asks for the
 * address afterwards is refused, and so is a launch that got it before.
 */
public final class DeviceMemory implements Memory, Addressable {
  private final Cuda cuda;
  private final Handles.Address base;
  private final long byteSize;
  private final @Nullable Throwable site;
  private volatile boolean closed;

  DeviceMemory(Cuda cuda, Handles.Address base, long byteSize, @Nullable Throwable site) {
    this.cuda = cuda;
    this.base = base;
    this.byteSize = byteSize;
    this.site = site;
  }

  @Override
  public long address() {
    return base().number();
  }

  @Override
  public long byteSize() {
    return byteSize;
  }

  @Override
  public Cuda device() {
    return cuda;
  }

  @Override
  public void close() {
    try (Turn _ = cuda.turn()) {
      if (!closed) {
        cuda.release(this, base);
        closed = true;
      }
    }
  }

  Handles.Address base() {
    if (closed) {
      throw new IllegalStateException("device memory of " + byteSize + " bytes is closed");
    }
    return base;
  }

  @Nullable Throwable site() {
    return site;
  }
}
