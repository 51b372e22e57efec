package dev.javelin.device;

/**
 * One block of a device's memory; given back by {@link #close}, which any thread may call, and
 * which waits for the thread whose turn it is on the device.
 */
public sealed interface Memory extends AutoCloseable permits HostMemory, DeviceMemory {

  long byteSize();

  Device device();

  @Override
  void close();
}
