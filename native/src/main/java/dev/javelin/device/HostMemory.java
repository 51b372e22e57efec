package dev.javelin.device;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * A block of off-heap memory from the C library. The operating system backs it with pages on first
 * touch, so reserving much and using little costs nothing.
 */
public final class HostMemory implements Memory {
  private final Cpu cpu;
  private final MemorySegment raw;
  private final MemorySegment segment;
  private final @Nullable Throwable site;
  private boolean closed;

  HostMemory(Cpu cpu, MemorySegment raw, MemorySegment segment, @Nullable Throwable site) {
    this.cpu = cpu;
    this.raw = raw;
    this.segment = segment;
    this.site = site;
  }

  /**
   * The whole block. The segment belongs to the global scope, so that loops over it carry no
   * liveness checks; {@link #close} is guarded by the leases of the tensors above it.
   */
  public MemorySegment segment() {
    if (closed) {
      throw new IllegalStateException("host memory of " + byteSize() + " bytes is closed");
    }
    return segment;
  }

  @Override
  public long byteSize() {
    return segment.byteSize();
  }

  @Override
  public Device device() {
    return cpu;
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      cpu.release(this);
    }
  }

  MemorySegment raw() {
    return raw;
  }

  @Nullable Throwable site() {
    return site;
  }
}
