package dev.javelin.device;

/**
 * A place where tensors live and operators run. Closed by its owner after everything allocated on
 * it.
 */
public sealed interface Device extends AutoCloseable permits Cpu {

  /** A new block of {@code bytes} zeroed bytes, aligned to 256 bytes at least. */
  Memory allocate(long bytes);

  /**
   * Copies bytes between two blocks, of which at least one is this device's; ordered with the
   * device's compute stream.
   */
  void copy(Memory dst, long dstOffset, Memory src, long srcOffset, long bytes);

  /** Waits until all work handed to the device is done. */
  void synchronize();

  @Override
  void close();
}
