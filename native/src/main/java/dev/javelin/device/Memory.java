package dev.javelin.device;

/** One block of a device's memory; freed by {@link #close}, never by the garbage collector. */
public sealed interface Memory extends AutoCloseable permits HostMemory, DeviceMemory {

  long byteSize();

  Device device();

  @Override
  void close();
}
