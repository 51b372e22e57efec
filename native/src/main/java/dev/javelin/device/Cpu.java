package dev.javelin.device;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Locale;
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
  private final AtomicLong liveBytes = new AtomicLong();
  private final AtomicLong peakBytes = new AtomicLong();
  private volatile long limitBytes = Long.MAX_VALUE;
  private final int threads;
  private final boolean rehearsal;
  private boolean inPiece; // of a loop that is only rehearsed
  private @Nullable LoopWrap wrap;
  private final HostBlock[] scratch; // one for each thread, the last one shared; in the turn
  private final ThreadLocal<HostBlock[]> visitors; // the same two of a thread without the turn
  private volatile long scratchBytes;
  private volatile boolean closed;
  private long levelBytes;

  private Cpu(int threads, boolean rehearsal) {
    if (threads < 1) {
      throw new IllegalArgumentException("threads must be at least 1, got " + threads);
    }
    if (ModuleLayer.boot().findModule("jdk.incubator.vector").isEmpty()) {
      throw new IllegalStateException(
          "the kernels need the Vector API: start Java with --add-modules jdk.incubator.vector");
    }
    this.threads = threads;
    this.rehearsal = rehearsal;
    this.parallel = new Parallel(rehearsal ? 1 : threads);
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
    return new Cpu(threads, false);
  }

  /**
   * One that takes memory and computes nothing, to find out what a computation would take: memory
   * is addresses that read as zeros and cost nothing until they are written, and a loop runs to the
   * point where its first piece has said how much scratch memory it needs. Everything else is as it
   * is: who asks for what, when it is given back, and so {@link #peakBytes}. For one thread.
   */
  public static Cpu rehearsal(int threads) {
    return new Cpu(threads, true);
  }

  /** Whether it is a {@link #rehearsal}: what is read from it means nothing. */
  public boolean isRehearsal() {
    return rehearsal;
  }

  public int threads() {
    return threads;
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
      if (rehearsal) {
        rehearse(n, grain, body);
      } else {
        parallel.run(n, grain, wrap == null ? body : wrap.wrap(n, grain, body));
      }
      if (scratchBytes > levelBytes) {
        levelScratch();
      }
    }
  }

  /** Puts something of its own around the pieces of a loop. */
  @FunctionalInterface
  interface LoopWrap {
    Parallel.Range wrap(int n, int grain, Parallel.Range body);
  }

  /** Has the loops from now on go through {@code wrap}, to time their pieces; null for none. */
  void wrapLoops(@Nullable LoopWrap wrap) {
    try (Turn _ = turn()) {
      this.wrap = wrap;
    }
  }

  private void rehearse(int n, int grain, Parallel.Range body) {
    if (n <= 0) {
      return;
    }
    inPiece = true;
    try {
      body.run(0, Math.min(n, grain));
    } catch (ScratchIsKnown e) {
      // that was all there was to learn
    } finally {
      inPiece = false;
    }
  }

  private static final class ScratchIsKnown extends RuntimeException {
    private static final long serialVersionUID = 1;
    static final ScratchIsKnown IT_IS = new ScratchIsKnown();

    private ScratchIsKnown() {
      super(null, null, false, false);
    }
  }

  /**
   * The same for a body that works with an object of its own: made by {@code state} once for each
   * thread that takes a piece, inside the loop, so that it may hold the thread's scratch memory.
   */
  public <S> void parallel(int n, int grain, Supplier<S> state, Parallel.StateRange<S> body) {
    @Nullable Object[] states = new @Nullable Object[threads()];
    parallel(
        n,
        grain,
        (from, to) -> {
          int worker = parallel.worker();
          @SuppressWarnings("unchecked") // only S are put there
          S own = (S) states[worker];
          if (own == null) {
            own = state.get();
            states[worker] = own;
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
    if (inPiece) {
      throw ScratchIsKnown.IT_IS;
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
      liveBytes.addAndGet(before > HostBlock.size(0) ? -before : 0); // empty ones are not counted
      of[slot] = HostBlock.allocate(0);
      of[slot] = block(Math.max(bytes, before + before / 2), true);
    }
    return of[slot].segment();
  }

  private static HostBlock[] emptyBlocks(int count) {
    HostBlock[] blocks = new HostBlock[count];
    Arrays.setAll(blocks, i -> HostBlock.allocate(0));
    return blocks;
  }

  private HostBlock block(long bytes, boolean counted) {
    requireOpen();
    if (counted) {
      commit(HostBlock.size(bytes));
    }
    HostBlock block = rehearsal ? HostBlock.reserve(bytes) : HostBlock.allocate(bytes);
    allocations.incrementAndGet();
    return block;
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
    return memory(bytes, true);
  }

  /**
   * Memory of which the owner says how much is in use, by {@link #commit}: for a large block that
   * the system backs as it is touched.
   */
  public HostMemory reserve(long bytes) {
    return memory(bytes, false);
  }

  private HostMemory memory(long bytes, boolean counted) {
    if (bytes < 0) {
      throw new IllegalArgumentException("bytes must not be negative, got " + bytes);
    }
    HostBlock block = block(bytes, counted);
    MemorySegment segment = block.segment();
    Throwable site = DEBUG ? new Throwable("allocated here") : null;
    if (site != null) {
      live.put(site, segment.byteSize());
    }
    return new HostMemory(
        this,
        segment,
        false,
        () -> {
          if (site != null) {
            live.remove(site);
          }
          liveBytes.addAndGet(counted ? -segment.byteSize() : 0);
          block.retire();
        });
  }

  /**
   * Counts so many bytes more of a {@link #reserve reserved} block as in use; fewer where it is
   * negative.
   *
   * @throws OutOfMemoryError where that passes the {@link #limit}
   */
  public void commit(long bytes) {
    long now = liveBytes.addAndGet(bytes);
    if (now > limitBytes) {
      liveBytes.addAndGet(-bytes);
      throw new OutOfMemoryError(
          String.format(
              Locale.ROOT,
              "%,d bytes more than the %,d in use pass the limit of %,d bytes",
              bytes,
              now - bytes,
              limitBytes));
    }
    peakBytes.accumulateAndGet(now, Math::max);
  }

  /** Lets the device take no more than so many bytes; none unless set. */
  public void limit(long bytes) {
    limitBytes = bytes;
  }

  /** Bytes in use: what was allocated and not freed, and scratch memory. */
  public long liveBytes() {
    return liveBytes.get();
  }

  /** The most bytes that were in use at one time. */
  public long peakBytes() {
    return peakBytes.get();
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
