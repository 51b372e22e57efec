package dev.javelin.train.inference;

import dev.javelin.autograd.Tape;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Turn;
import dev.javelin.nn.KvCache;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Transformer;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Runs the passes of requests that are under way at the same time, those together that can be.
 *
 * <p>Whoever needs logits puts a step down; one of the waiting threads becomes the leader, takes
 * its turn on the device and reads the tokens of the oldest step and of all others that fit a pass
 * beside it. A pass reads up to {@link Transformer#STEADY_TOKENS} tokens, among which a sequence
 * gets the bits it gets alone; a longer piece of text, where there is nothing to gain, is a pass of
 * its own. So what a request gets does not depend on the company, and no request waits for more
 * than one pass of each that came before it.
 *
 * <p>A leader waits for those who took part in one of the last two passes and are about to come
 * back, but no longer than a quarter of the last pass took: a reader that does not come is not
 * waited for again.
 */
final class Passes implements AutoCloseable {
  private static final long GPU_SLAB_BYTES = 64L << 20;
  private static final int GATHER_SHARE = 4;

  private final Device device;
  private final ParameterBuffer<Transformer> parameters;
  private final Transformer model;
  private final Workspace workspace; // in the turn
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final List<Seat> seats = new ArrayList<>();
  private final List<Step> waiting = new ArrayList<>(); // in the order in which they came
  private boolean led;
  private long passes;
  private long passNanos;
  private volatile boolean closed;

  Passes(ParameterBuffer<Transformer> parameters, Transformer model) {
    this.parameters = parameters;
    this.model = model;
    this.device = model.tokens().value().device();
    // On a GPU most of the memory is for caches.
    this.workspace =
        device instanceof Cuda ? Workspace.on(device, GPU_SLAB_BYTES) : Workspace.on(device);
  }

  /** A request that is under way; for one thread at a time. */
  final class Seat implements AutoCloseable {
    private long lastPass = Long.MIN_VALUE;
    private boolean steps;

    private Seat() {}

    /**
     * The logits of the first {@code vocabulary} tokens, to come after {@code ids}, which follow
     * what {@code cache} holds.
     *
     * @throws IllegalStateException where the inference, the model or its device is closed
     */
    float[] next(int[] ids, int vocabulary, KvCache cache) {
      cache.reserve(ids.length); // alone: where there is no memory, others go on
      Step step = new Step(this, ids, vocabulary, cache);
      lock.lock();
      try {
        steps = true;
        waiting.add(step);
        changed.signalAll();
        while (!step.done) {
          if (led) {
            changed.awaitUninterruptibly();
          } else {
            lead();
          }
        }
        return step.result();
      } finally {
        steps = false;
        lock.unlock();
      }
    }

    @Override
    public void close() {
      lock.lock();
      try {
        seats.remove(this);
        changed.signalAll();
      } finally {
        lock.unlock();
      }
    }
  }

  private static final class Step {
    final Seat seat;
    final int[] ids;
    final int vocabulary;
    final KvCache cache;
    boolean done;
    float @Nullable [] logits;
    @Nullable Throwable failure;

    Step(Seat seat, int[] ids, int vocabulary, KvCache cache) {
      this.seat = seat;
      this.ids = ids;
      this.vocabulary = vocabulary;
      this.cache = cache;
    }

    int end() {
      return cache.length() + ids.length;
    }

    float[] result() {
      switch (failure) {
        case null -> {}
        case RuntimeException e -> throw e;
        case Error e -> throw e;
        case Throwable t -> throw new IllegalStateException(t);
      }
      if (logits == null) {
        throw new AssertionError("a step is done without logits");
      }
      return logits;
    }
  }

  Seat seat() {
    Seat seat = new Seat();
    lock.lock();
    try {
      seats.add(seat);
    } finally {
      lock.unlock();
    }
    return seat;
  }

  /** Runs one pass; called and left with the lock, which it gives away meanwhile. */
  private void lead() {
    led = true;
    try {
      gather();
      lock.unlock();
      try (Turn _ = device.turn()) {
        runWaiting();
      } finally {
        lock.lock();
      }
    } finally {
      led = false;
      changed.signalAll();
    }
  }

  private void runWaiting() {
    List<Step> batch = chosen();
    long start = System.nanoTime();
    Throwable failure = null;
    try {
      run(batch);
    } catch (Throwable t) {
      failure = t;
    }
    lock.lock();
    try {
      passNanos = System.nanoTime() - start;
      for (Step step : batch) {
        step.failure = failure;
        step.done = true;
      }
    } finally {
      lock.unlock();
    }
  }

  private void gather() {
    long left = passNanos / GATHER_SHARE;
    while (left > 0 && waiting.size() < Transformer.STEADY_TOKENS && someAreAboutToCome()) {
      try {
        left = changed.awaitNanos(left);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return;
      }
    }
  }

  private boolean someAreAboutToCome() {
    for (Seat seat : seats) {
      if (!seat.steps && seat.lastPass >= passes - 2) {
        return true;
      }
    }
    return false;
  }

  /** The oldest step, and those that can be read with it. */
  private List<Step> chosen() {
    lock.lock();
    try {
      List<Step> batch = new ArrayList<>();
      int tokens = 0;
      for (Step step : List.copyOf(waiting)) {
        boolean fits =
            tokens + step.ids.length <= Transformer.STEADY_TOKENS
                && (batch.isEmpty() || model.turnAlike(batch.getFirst().end(), step.end()));
        if (batch.isEmpty() || fits) {
          batch.add(step);
          tokens += step.ids.length;
          step.seat.lastPass = passes;
        }
      }
      waiting.removeAll(batch);
      passes++;
      return batch;
    } finally {
      lock.unlock();
    }
  }

  private void run(List<Step> batch) {
    if (closed) {
      throw new IllegalStateException("the inference was closed before this request was done");
    }
    parameters.requireOpen();
    workspace.reset();
    int[] ids = batch.stream().flatMapToInt(step -> Arrays.stream(step.ids)).toArray();
    int[] counts = batch.stream().mapToInt(step -> step.ids.length).toArray();
    List<KvCache> caches = batch.stream().map(step -> step.cache).toList();
    Tensor tokens = workspace.alloc(DType.I32, Shape.of(1, ids.length)); // i32 [1, N]
    tokens.fromHost(MemorySegment.ofArray(ids));
    Tensor logits = model.next(Tape.inference(workspace), tokens, caches, counts); // [S, V]
    for (int s = 0; s < batch.size(); s++) {
      Step step = batch.get(s);
      step.logits = logits.slice(0, s, s + 1).slice(1, 0, step.vocabulary).toFloats();
    }
  }

  /** Steps that no pass has taken up yet. */
  int waiting() {
    lock.lock();
    try {
      return waiting.size();
    } finally {
      lock.unlock();
    }
  }

  /** Passes so far. */
  long count() {
    lock.lock();
    try {
      return passes;
    } finally {
      lock.unlock();
    }
  }

  /** Waits for the pass in progress; steps from then on fail. */
  @Override
  public void close() {
    try (Turn _ = device.turn()) {
      closed = true;
      workspace.close();
    }
  }
}
