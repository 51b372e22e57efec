package dev.javelin.tensor.step;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.HostMemory;
import dev.javelin.device.Memory;
import dev.javelin.device.Turn;
import dev.javelin.tensor.Layout;
import dev.javelin.tensor.Lease;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Objects;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/**
 * The memory of one step: activations, saved statistics, gradients of activations, operators'
 * scratch. Ranges are handed out first fit in order of request and are dead at the latest at {@link
 * #reset}; equal requests get equal addresses.
 *
 * <p>Memory comes in slabs, which on the CPU the operating system backs as they are used. A new
 * slab is taken when the ones there are full, which in training happens in the first step only; a
 * step that is recorded into a graph may not take one.
 *
 * <p>A workspace serves one thread at a time. Any thread may close it, which waits for the turn on
 * its device; requests are refused from then on.
 */
public final class Workspace implements AutoCloseable {
  /** Owner of what {@link #scratch(DType, Shape)} gives. */
  public static final String SCRATCH = "scratch";

  /** Owner of the logits of a head that is computed in parts. */
  public static final String LOGITS = "logits";

  /** Owner of what the forward pass leaves to the backward pass. */
  public static final String ACTIVATIONS = "the step's forward pass";

  private static final long HOST_SLAB_BYTES = 1L << 30;
  private static final long EMULATED_SLAB_BYTES = 64L << 20;
  private static final double SHARE_OF_FREE = 0.85;
  private static final long BY_DEVICE = -1;
  private static final long ALIGNMENT = 256;

  private final Device device;
  private final long slabBytes;
  private final boolean poison;
  private final boolean apart;
  private final List<Slab> slabs = new ArrayList<>();
  private final List<Range> ranges = new ArrayList<>(); // in order of request, kept for later steps
  private int requested; // ranges of this step
  private long liveBytes;
  private long peakBytes;
  private long stepPeak;
  private int stepPeakAt; // requests of this step when it had most alive
  private long fingerprint;
  private volatile boolean closed;

  private static final class Slab {
    final Memory memory;
    final FreeList free;
    long extent; // behind the last byte that was ever handed out

    Slab(Memory memory, long bytes) {
      this.memory = memory;
      this.free = new FreeList(bytes);
    }
  }

  /** The answer to a request; the same object answers the same request of the next step. */
  private static final class Range {
    Slab slab;
    long offset;
    long bytes;
    Lease lease;
    int releasedAfter = Integer.MAX_VALUE; // requests of the step
    @Nullable Layout layout; // asked for last

    Range(Slab slab, long offset, long bytes, Lease lease) {
      this.slab = slab;
      this.offset = offset;
      this.bytes = bytes;
      this.lease = lease;
    }

    void become(Slab slab, long offset, long bytes, Lease lease) {
      this.slab = slab;
      this.offset = offset;
      this.bytes = bytes;
      this.lease = lease;
      this.releasedAfter = Integer.MAX_VALUE;
    }

    /** Steps ask for the same shapes, and a layout never changes. */
    Layout contiguous(Shape shape) {
      Layout l = layout;
      if (l == null || !l.shape().equals(shape)) {
        l = Layout.contiguous(shape);
        layout = l;
      }
      return l;
    }
  }

  private Workspace(Device device, long slabBytes, boolean poison, boolean apart) {
    this.device = device;
    this.slabBytes = slabBytes;
    this.poison = poison;
    this.apart = apart;
  }

  /**
   * With slabs as the device wants them. A GPU has no pages that come with first use, and memory
   * cut up into slabs is memory lost: the first request takes one slab of most of what is free
   * then, after the model has taken its own.
   */
  public static Workspace on(Device device) {
    return new Workspace(device, BY_DEVICE, Boolean.getBoolean("javelin.debug"), false);
  }

  /** With slabs of {@code slabBytes}; a larger single request gets a slab of its own. */
  public static Workspace on(Device device, long slabBytes) {
    return new Workspace(device, slabBytes, Boolean.getBoolean("javelin.debug"), false);
  }

  /**
   * A workspace that fills memory with NaN patterns when it is handed out and when it is released,
   * so that tests see stale reads.
   */
  public static Workspace poisoned(Device device, long slabBytes) {
    return new Workspace(device, slabBytes, true, false);
  }

  /**
   * A workspace that reserves memory for each tensor by itself, exactly as large as that is and
   * filled with NaN patterns, and gives it back when it is released: an access beyond a tensor, or
   * to one that is dead, is one beyond the device's memory. For tests: slow, and no step can be
   * recorded.
   */
  public static Workspace apart(Device device) {
    return new Workspace(device, 0, true, true);
  }

  public Device device() {
    return device;
  }

  /** A contiguous tensor with any content, alive until its range is released. */
  public Tensor alloc(DType dtype, Shape shape) {
    return alloc(dtype, shape, "step");
  }

  /** {@link #alloc(DType, Shape)}, with the owner's name for the message of a late use. */
  public Tensor alloc(DType dtype, Shape shape, String owner) {
    Range r = take(dtype.bytes(shape.elements()), owner);
    return new Tensor(r.slab.memory, r.offset, r.contiguous(shape), dtype, r.lease);
  }

  /** A tensor for the inside of an operator, released at the end of its try block. */
  public Scratch scratch(DType dtype, Shape shape) {
    return scratch(dtype, shape, SCRATCH);
  }

  /** The same, with a name of its own where memory is told by its owners. */
  public Scratch scratch(DType dtype, Shape shape, String owner) {
    int mark = mark();
    return new Scratch(this, mark, alloc(dtype, shape, owner));
  }

  /** Scratch memory of one operator. */
  public record Scratch(Workspace workspace, int mark, Tensor tensor) implements AutoCloseable {
    @Override
    public void close() {
      workspace.release(tensor);
    }
  }

  /**
   * Opens a scope: when it closes, everything allocated since is released but what it was told to
   * keep.
   */
  public Scope scope() {
    return new Scope(mark());
  }

  /** See {@link #scope}. */
  public final class Scope implements AutoCloseable {
    private final int from;
    private final List<Tensor> kept = new ArrayList<>(1);

    private Scope(int from) {
      this.from = from;
    }

    public Tensor keep(Tensor t) {
      kept.add(t);
      return t;
    }

    @Override
    public void close() {
      releaseExcept(from, mark(), kept.toArray(new Tensor[0]));
    }
  }

  /**
   * How many ranges this step has requested so far; two marks bound the ranges requested between
   * them.
   */
  public int mark() {
    return requested;
  }

  /** Releases the ranges requested between two marks, but those of {@code keep}. */
  public void releaseExcept(int from, int to, Tensor... keep) {
    for (int i = from; i < to; i++) {
      Range r = ranges.get(i);
      boolean kept = false;
      for (Tensor t : keep) {
        kept |= t.lease() == r.lease;
      }
      if (!kept) {
        release(r);
      }
    }
  }

  /**
   * Releases the range of one tensor of this workspace; nothing where that has happened already.
   */
  public void release(Tensor t) {
    int i = t.lease().index();
    if (i < 0 || i >= requested || ranges.get(i).lease != t.lease()) {
      throw new IllegalArgumentException(t.form() + " is not of this workspace and step");
    }
    release(ranges.get(i));
  }

  /** Ends the step: all its tensors are dead. */
  public void reset() {
    for (int i = 0; i < requested; i++) {
      release(ranges.get(i));
    }
    requested = 0;
    stepPeak = 0;
    stepPeakAt = 0;
    fingerprint = 0;
  }

  /** The most bytes alive at one time since the workspace was opened. */
  public long peakBytes() {
    return peakBytes;
  }

  public long liveBytes() {
    return liveBytes;
  }

  /**
   * The bytes that were ever in use: {@link #peakBytes} and the gaps that first fit left between
   * them. What lies behind in the slabs has not been touched.
   */
  public long extentBytes() {
    return slabs.stream().mapToLong(s -> s.extent).sum();
  }

  /** What was alive when this step had most alive at one time: bytes by owner. */
  public SequencedMap<String, Long> atPeak() {
    SequencedMap<String, Long> bytes = new LinkedHashMap<>();
    for (Range r : ranges.subList(0, stepPeakAt)) {
      if (r.releasedAfter >= stepPeakAt) {
        bytes.merge(r.lease.owner(), r.bytes, Long::sum);
      }
    }
    return bytes;
  }

  /** Hash of the requests of this step, offsets and sizes in order: equal for equal steps. */
  public long fingerprint() {
    return fingerprint;
  }

  /** The requests of this step in order. */
  public List<Request> requests() {
    return ranges.subList(0, requested).stream()
        .map(r -> new Request(r.lease.owner(), slabs.indexOf(r.slab), r.offset, r.bytes))
        .toList();
  }

  /** Whether a request of this step, counted from 0, has not been released. */
  public boolean isAlive(int request) {
    return !ranges.get(Objects.checkIndex(request, requested)).lease.hasEnded();
  }

  /**
   * What was asked of the workspace, and where it was put.
   *
   * @param owner for whom: an operator's name in the backward pass
   * @param bytes rounded up to the alignment
   */
  public record Request(String owner, int slab, long offset, long bytes) {}

  private Range take(long bytes, String owner) {
    if (closed) {
      throw new IllegalStateException("the workspace on " + device + " is closed");
    }
    long size =
        apart
            ? Math.max(1, bytes)
            : Math.max(ALIGNMENT, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    Slab slab = null;
    long offset = -1;
    int index = apart ? slabs.size() : 0;
    for (; index < slabs.size() && offset < 0; index++) {
      slab = slabs.get(index);
      offset = slab.free.take(size);
    }
    if (slab == null || offset < 0) {
      long capacity = Math.max(slabBytes == BY_DEVICE ? slabBytes(device) : slabBytes, size);
      slab =
          new Slab(
              device instanceof Cpu cpu && !apart
                  ? cpu.reserve(capacity)
                  : device.allocate(capacity),
              capacity);
      slabs.add(slab);
      index++;
      offset = slab.free.take(size);
    }
    extend(slab, offset, size);
    fingerprint = (fingerprint * 31 + index) * 1_000_003 + offset * 31 + size;
    liveBytes += size;
    peakBytes = Math.max(peakBytes, liveBytes);
    Range r = record(slab, offset, size, new Lease(owner, requested));
    if (liveBytes > stepPeak) {
      stepPeak = liveBytes;
      stepPeakAt = requested;
    }
    if (poison) {
      fillWithNaN(r);
    }
    return r;
  }

  private Range record(Slab slab, long offset, long size, Lease lease) {
    Range r;
    if (requested < ranges.size()) {
      r = ranges.get(requested);
      r.become(slab, offset, size, lease);
    } else {
      r = new Range(slab, offset, size, lease);
      ranges.add(r);
    }
    requested++;
    return r;
  }

  private void extend(Slab slab, long offset, long size) {
    long more = offset + size - slab.extent;
    if (more <= 0) {
      return;
    }
    if (device instanceof Cpu cpu && !apart) {
      try {
        cpu.commit(more);
      } catch (OutOfMemoryError e) {
        slab.free.give(offset, size);
        throw e;
      }
    }
    slab.extent += more;
  }

  private static long slabBytes(Device device) {
    return switch (device) {
      case Cpu _ -> HOST_SLAB_BYTES;
      case Cuda cuda ->
          cuda.properties().emulated()
              ? EMULATED_SLAB_BYTES
              : (long) (cuda.memoryInfo().free() * SHARE_OF_FREE) / ALIGNMENT * ALIGNMENT;
    };
  }

  private void release(Range r) {
    if (r.lease.hasEnded()) {
      return;
    }
    r.lease.end();
    r.releasedAfter = requested;
    r.slab.free.give(r.offset, r.bytes);
    liveBytes -= r.bytes;
    if (apart) {
      r.slab.memory.close();
      slabs.remove(r.slab);
    } else if (poison) {
      fillWithNaN(r);
    }
  }

  /** 0xFF in every byte is a NaN in each float type and an id outside every vocabulary. */
  private static void fillWithNaN(Range r) {
    switch (r.slab.memory) {
      case HostMemory host -> host.segment().asSlice(r.offset, r.bytes).fill((byte) 0xFF);
      case DeviceMemory m -> m.device().fill(m, r.offset, r.bytes, 0xFF);
    }
  }

  @Override
  public void close() {
    try (Turn _ = device.turn()) {
      if (closed) {
        return;
      }
      closed = true;
      reset();
      device.synchronize();
      for (Slab s : slabs) {
        if (device instanceof Cpu cpu && !apart) {
          cpu.commit(-s.extent);
        }
        s.memory.close();
      }
      slabs.clear();
      ranges.clear();
    }
  }
}
