package dev.javelin.device;

import java.lang.foreign.MemorySegment;

/**
 * A place where tensors live and operators run. Closed by its owner after everything allocated on
 * it.
 *
 * <p>A device serves any number of threads, one at a time. What belongs together is done in one
 * {@link #turn}: a training step, a token of a text. Without one, each method here and each
 * parallel loop of an operator takes a turn of its own, and what other threads do comes in between.
 * Closing, of the device or of memory on it, waits for the thread whose turn it is; from then on
 * both answer with an {@link IllegalStateException}.
 */
public sealed interface Device extends AutoCloseable permits Cpu, Cuda {

  /**
   * Waits until no other thread works on the device, and keeps it for the calling one until the
   * turn is closed. Threads come in the order in which they asked; who has the turn may ask again.
   * It must not wait for a thread that works on the device: that one waits for the turn.
   *
   * <pre>{@code
   * try (Turn _ = device.turn()) { … }
   * }</pre>
   *
   * @throws IllegalStateException in the body of a parallel loop
   */
  Turn turn();

  /** A new block of {@code bytes} zeroed bytes, aligned to 256 bytes at least. */
  Memory allocate(long bytes);

  /**
   * Copies bytes between two blocks, of which at least one is this device's; ordered with the
   * device's compute stream. Where host memory takes part, the copy is done when the call returns.
   */
  void copy(Memory dst, long dstOffset, Memory src, long srcOffset, long bytes);

  /**
   * Copies {@code dst.byteSize()} bytes to the host, after the work handed to the device before,
   * and waits for them.
   */
  void read(MemorySegment dst, Memory src, long offset);

  /**
   * Copies {@code src.byteSize()} bytes from the host; {@code src} may be used again when the call
   * returns.
   */
  void write(Memory dst, long offset, MemorySegment src);

  /** Waits until all work handed to the device is done. */
  void synchronize();

  @Override
  void close();
}
