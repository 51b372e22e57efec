package dev.javelin.device;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The processor this program runs on, with a team of threads for its kernels. Results never depend
 * on the number of threads: work is cut by size alone, and threads only decide who takes which
 * piece.
 *
 * <p>Any number of threads may run operators on it at the same time: their loops share the team one
 * after another, and each has scratch memory of its own.
 */
public final class Cpu implements Device {
  private static final boolean DEBUG = Boolean.getBoolean("javelin.debug");

  private final Parallel parallel;
  private final Map<Throwable, Long> live = Collections.synchronizedMap(new IdentityHashMap<>());
  private final AtomicLong allocations = new AtomicLong();
  private final HostBlock[] scratch; // one for each thread, the last one shared; in the turn
  private final ThreadLocal<HostBlock[]> visitors; // the same two of a thread without the turn
  private volatile long scratchBytes;
  private volatile boolean closed;
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
    this.scratch = emptyBlocks(threads + 1);
    this.visitors = ThreadLocal.withInitial(() -> emptyBlocks(2));
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

  @Override
  public Turn turn() {
    return parallel.turn();
  }

  /**
   * Runs {@code body} over {@code [0, n)} in pieces of {@code grain} (the last may be shorter), on
   * all threads, and returns when all are done. The pieces are the same for any number of threads;
   * which thread runs which piece is not defined. Loops of several callers run in the order of the
   * calls.
   *
   * @throws IllegalStateException inside the body of another loop, or when the device is closed
   */
  public void parallel(int n, int grain, Parallel.Range body) {
    try (Turn _ = turn()) {
      parallel.run(n, grain, body);
      if (scratchBytes > levelBytes) {
        levelScratch();
      }
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
      grown(scratch, worker, levelBytes);
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
    int worker = parallel.worker();
    return worker > 0 || parallel.isMyTurn()
        ? grown(scratch, worker, bytes)
        : grown(visitors.get(), 0, bytes);
  }

  private synchronized void noteScratch(long bytes) {
    scratchBytes = Math.max(scratchBytes, bytes);
  }

  private MemorySegment grown(HostBlock[] of, int slot, long bytes) {
    long before = of[slot].segment().byteSize();
    if (before < bytes) {
      requireOpen();
      of[slot].retire();
      of[slot] = HostBlock.allocate(Math.max(bytes, before + before / 2));
      allocations.incrementAndGet();
    }
    return of[slot].segment();
  }

  private static HostBlock[] emptyBlocks(int count) {
    HostBlock[] blocks = new HostBlock[count];
    Arrays.setAll(blocks, i -> HostBlock.allocate(0));
    return blocks;
  }

  /**
   * Scratch memory for all pieces of one loop, taken before it: at least {@code bytes} bytes with
   * any content, 256-byte aligned, valid until the same thread's next call. Pieces leave partial
   * sums there.
   */
  public MemorySegment shared(long bytes) {
    return parallel.isMyTurn() ? grown(scratch, threads(), bytes) : grown(visitors.get(), 1, bytes);
  }

  @Override
  public HostMemory allocate(long bytes) {
    if (bytes < 0) {
      throw new IllegalArgumentException("bytes must not be negative, got " + bytes);
    }
    requireOpen();
    HostBlock block = HostBlock.allocate(bytes);
    MemorySegment segment = block.segment();
    allocations.incrementAndGet();
    if (!DEBUG) {
      return new HostMemory(this, segment, false, block::retire);
    }
    Throwable site = new Throwable("allocated here");
    live.put(site, segment.byteSize());
    return new HostMemory(
        this,
        segment,
        false,
        () -> {
          live.remove(site);
          block.retire();
        });
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException(this + " is closed");
    }
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

  /** Waits for the thread whose turn it is, then ends the team. */
  @Override
  public void close() {
    try (Turn _ = turn()) {
      if (closed) {
        return;
      }
      parallel.close();
      closed = true;
      for (HostBlock s : scratch) {
        s.retire();
      }
    }
    System.Logger log = System.getLogger(Cpu.class.getName());
    live.forEach(
        (site, bytes) ->
            log.log(System.Logger.Level.WARNING, "not closed: " + bytes + " bytes", site));
  }

  @Override
  public String toString() {
    return "cpu(" + threads() + " threads)";
  }
}
