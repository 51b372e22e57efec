package dev.javelin.device;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The processor this program runs on, with a team of threads for its kernels. Results never depend
 * on the number of threads: work is cut by size alone, and threads only decide who takes which
 * piece.
 */
public final class Cpu implements Device {
  private static final long ALIGNMENT = 256;
  private static final long HUGE_PAGE = 2L << 20;
  private static final boolean DEBUG = Boolean.getBoolean("javelin.debug");

  private final Parallel parallel;
  private final Set<HostMemory> live = new LinkedHashSet<>();
  private final AtomicLong allocations = new AtomicLong();
  private final HostMemory[] scratch; // one for each thread, the last one shared
  private volatile long scratchBytes;
  private long levelBytes;

  private Cpu(int threads) {
    if (threads < 1) {
      throw new IllegalArgumentException("threads must be at least 1, got " + threads);
    }
    if (ModuleLayer.boot().findModule("jdk.incubator.vector").isEmpty()) {
      throw new IllegalStateException(
          "the kernels need the Vector API: start Java with --add-modules jdk.incubator.vector");
    }
    this.parallel = new Parallel(threads);
    this.scratch = new HostMemory[threads + 1];
    for (int i = 0; i < scratch.length; i++) {
      scratch[i] = allocate(ALIGNMENT);
    }
  }

  /** The CPU with one thread per available processor. */
  public static Cpu open() {
    return open(Runtime.getRuntime().availableProcessors());
  }

  /**
   * The CPU with a team of {@code threads}, of which the calling thread is one.
   *
   * @throws IllegalStateException where Java was started without the Vector API's module
   */
  public static Cpu open(int threads) {
    return new Cpu(threads);
  }

  public int threads() {
    return parallel.threads();
  }

  /**
   * Runs {@code body} over {@code [0, n)} in pieces of {@code grain} (the last may be shorter), on
   * all threads, and returns when all are done. The pieces are the same for any number of threads;
   * which thread runs which piece is not defined. Not reentrant.
   */
  public void parallel(int n, int grain, Parallel.Range body) {
    parallel.run(n, grain, body);
    if (scratchBytes > levelBytes) {
      levelScratch();
    }
  }

  /**
   * The same for a body that works with an object of its own: made by {@code state} once for each
   * thread that takes a piece, inside the loop, so that it may hold the thread's scratch memory.
   */
  public <S> void parallel(int n, int grain, Supplier<S> state, Parallel.StateRange<S> body) {
    List<@Nullable S> states = new ArrayList<>(Collections.nCopies(threads(), null));
    parallel(
        n,
        grain,
        (from, to) -> {
          int worker = parallel.worker();
          S own = states.get(worker);
          if (own == null) {
            own = state.get();
            states.set(worker, own);
          }
          body.run(own, from, to);
        });
  }

  /**
   * Gives every thread as much scratch memory as the neediest has asked for: which thread runs
   * which piece is chance, and a thread that comes to a large piece late must not allocate in the
   * steady state.
   */
  private void levelScratch() {
    levelBytes = scratchBytes;
    for (int worker = 0; worker < threads(); worker++) {
      grown(worker, levelBytes);
    }
  }

  /**
   * Scratch memory of the calling thread of the team: at least {@code bytes} bytes with any
   * content, 256-byte aligned, valid until the same thread's next call or the end of the loop.
   * Kernels call it inside their piece and cut it up themselves.
   */
  public MemorySegment scratch(long bytes) {
    if (bytes > scratchBytes) {
      noteScratch(bytes);
    }
    return grown(parallel.worker(), bytes);
  }

  private synchronized void noteScratch(long bytes) {
    scratchBytes = Math.max(scratchBytes, bytes);
  }

  private MemorySegment grown(int slot, long bytes) {
    if (scratch[slot].byteSize() < bytes) {
      HostMemory old = scratch[slot];
      scratch[slot] = allocate(Math.max(bytes, old.byteSize() + old.byteSize() / 2));
      old.close();
    }
    return scratch[slot].segment();
  }

  /**
   * Scratch memory for all pieces of one loop, taken before it: at least {@code bytes} bytes with
   * any content, 256-byte aligned, valid until the next call. Pieces leave partial sums there.
   */
  public MemorySegment shared(long bytes) {
    return grown(threads(), bytes);
  }

  @Override
  public HostMemory allocate(long bytes) {
    if (bytes < 0) {
      throw new IllegalArgumentException("bytes must not be negative, got " + bytes);
    }
    long alignment = bytes >= 2 * HUGE_PAGE ? HUGE_PAGE : ALIGNMENT;
    long size = Math.max(ALIGNMENT, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    MemorySegment raw = CLibrary.calloc(size + alignment);
    long skip = (alignment - raw.address() % alignment) % alignment;
    MemorySegment segment = raw.asSlice(skip, size);
    if (alignment == HUGE_PAGE) {
      CLibrary.adviseHugePages(segment);
    }
    HostMemory memory =
        new HostMemory(
            this,
            segment,
            false,
            m -> release(m, raw),
            DEBUG ? new Throwable("allocated here") : null);
    allocations.incrementAndGet();
    synchronized (live) {
      live.add(memory);
    }
    return memory;
  }

  private void release(HostMemory memory, MemorySegment raw) {
    synchronized (live) {
      live.remove(memory);
    }
    CLibrary.free(raw);
  }

  /**
   * How often off-heap memory was taken from the system since the device was opened; constant in
   * the steady state of a training.
   */
  public long allocations() {
    return allocations.get();
  }

  @Override
  public void copy(Memory dst, long dstOffset, Memory src, long srcOffset, long bytes) {
    switch (dst) {
      case HostMemory to -> {
        switch (src) {
          case HostMemory from ->
              MemorySegment.copy(from.segment(), srcOffset, to.segment(), dstOffset, bytes);
          case DeviceMemory from -> from.device().copy(dst, dstOffset, src, srcOffset, bytes);
        }
      }
      case DeviceMemory to -> to.device().copy(dst, dstOffset, src, srcOffset, bytes);
    }
  }

  @Override
  public void read(MemorySegment dst, Memory src, long offset) {
    switch (src) {
      case HostMemory host -> dst.copyFrom(host.segment().asSlice(offset, dst.byteSize()));
      case DeviceMemory m -> m.device().read(dst, src, offset);
    }
  }

  @Override
  public void write(Memory dst, long offset, MemorySegment src) {
    switch (dst) {
      case HostMemory host -> host.segment().asSlice(offset, src.byteSize()).copyFrom(src);
      case DeviceMemory m -> m.device().write(dst, offset, src);
    }
  }

  /** Kernels on this device have finished when their call returns. */
  @Override
  public void synchronize() {}

  @Override
  public void close() {
    parallel.close();
    for (HostMemory s : scratch) {
      s.close();
    }
    synchronized (live) {
      if (DEBUG && !live.isEmpty()) {
        for (HostMemory m : live) {
          System.Logger log = System.getLogger(Cpu.class.getName());
          log.log(System.Logger.Level.WARNING, "not closed: " + m.byteSize() + " bytes", m.site());
        }
      }
    }
  }

  @Override
  public String toString() {
    return "cpu(" + threads() + " threads)";
  }
}
