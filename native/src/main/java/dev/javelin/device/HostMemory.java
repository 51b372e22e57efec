package dev.javelin.device;

import java.lang.foreign.MemorySegment;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A block of off-heap memory: from the C library, backed with pages by the operating system on
 * first touch, so that reserving much and using little costs nothing; or pinned by the CUDA driver,
 * so that a GPU copies to and from it while the host goes on.
 */
public final class HostMemory implements Memory {
  private final Device owner;
  private final MemorySegment segment;
  private final boolean pinned;
  private final Consumer<HostMemory> release;
  private final @Nullable Throwable site;
  private boolean closed;

  HostMemory(
      Device owner,
      MemorySegment segment,
      boolean pinned,
      Consumer<HostMemory> release,
      @Nullable Throwable site) {
    this.owner = owner;
    this.segment = segment;
    this.pinned = pinned;
    this.release = release;
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

  /** Whether the CUDA driver holds it in place; see {@link Cuda#pinned}. */
  public boolean isPinned() {
    return pinned;
  }

  @Override
  public long byteSize() {
    return segment.byteSize();
  }

  @Override
  public Device device() {
    return owner;
  }

  @Override
  public void close() {
    if (!closed) {
      release.accept(this);
      closed = true;
    }
  }

  @Nullable Throwable site() {
    return site;
  }
}
