package dev.javelin.device;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * A block of off-heap memory: from the C library, backed with pages by the operating system on
 * first touch, so that reserving much and using little costs nothing; or pinned by the CUDA driver,
 * so that a GPU copies to and from it while the host goes on.
 *
 * <p>Any thread may close it. That waits for the thread whose turn it is on the device (see {@link
 * Device#turn}); whoever asks for the segment afterwards is refused. A segment of the C library's
 * memory taken before stays readable, as zeros; one of pinned memory does not, so who uses that
 * beside others holds the turn.
 */
public final class HostMemory implements Memory {
  private static final long ALIGNMENT = 64;
  private static final int SLICES = 1 << 10;

  private final Device owner;
  private final MemorySegment segment;
  private final boolean pinned;
  private final Runnable release;
  private volatile boolean closed;

  /** Steps ask for the same slices; a slice never changes, so any thread may find any. */
  private @Nullable MemorySegment @Nullable [] slices;

  HostMemory(Device owner, MemorySegment segment, boolean pinned, Runnable release) {
    this.owner = owner;
    this.segment = segment;
    this.pinned = pinned;
    this.release = release;
  }

  /**
   * A zeroed block without an owner, for values that people write down: it lives until nothing
   * refers to it any more, and then goes back to the system. Nothing on the path of a step comes
   * from here. It belongs to a processor of one thread that is never closed.
   */
  public static HostMemory unowned(long bytes) {
    MemorySegment segment = Arena.ofAuto().allocate(bytes, ALIGNMENT);
    return new HostMemory(Unowned.DEVICE, segment, false, () -> {});
  }

  private static final class Unowned {
    static final Cpu DEVICE = Cpu.open(1);
  }

  /**
   * The whole block.
   *
   * @throws IllegalStateException after {@link #close}
   */
  public MemorySegment segment() {
    if (closed) {
      throw new IllegalStateException("host memory of " + byteSize() + " bytes is closed");
    }
    return segment;
  }

  /**
   * A part of the block; often the same object for the same part.
   *
   * @throws IllegalStateException after {@link #close}
   * @throws IndexOutOfBoundsException where the block ends before the part does
   */
  public MemorySegment slice(long offset, long bytes) {
    MemorySegment all = segment();
    @Nullable MemorySegment[] known = slices;
    if (known == null) {
      known = new MemorySegment[SLICES];
      slices = known;
    }
    int at = Long.hashCode((offset * 31 + bytes) * 0x9E3779B97F4A7C15L) & SLICES - 1;
    MemorySegment slice = known[at];
    if (slice == null || slice.byteSize() != bytes || slice.address() != all.address() + offset) {
      slice = all.asSlice(offset, bytes);
      known[at] = slice;
    }
    return slice;
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
    try (Turn _ = owner.turn()) {
      if (!closed) {
        closed = true;
        release.run();
      }
    }
  }
}
