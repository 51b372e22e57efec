package dev.javelin.device;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Records the loops of a CPU with one thread: how each is cut into pieces, how long each piece
 * takes, and what runs between loops. The pieces are those of any number of threads.
 */
public final class LoopTrace implements AutoCloseable {
  private final Cpu cpu;
  private final List<Loop> loops = new ArrayList<>();
  private int labelled;
  private long last = System.nanoTime();

  /** A loop: who ran it, how long nothing ran in parallel before it, its pieces. */
  public static final class Loop {
    private String label = "";
    private final long gapNanos;
    private final long[] pieceNanos;

    private Loop(long gapNanos, int pieces) {
      this.gapNanos = gapNanos;
      this.pieceNanos = new long[pieces];
    }

    public String label() {
      return label;
    }

    public long gapNanos() {
      return gapNanos;
    }

    public long[] pieceNanos() {
      return pieceNanos.clone();
    }

    public long nanos() {
      return Arrays.stream(pieceNanos).sum();
    }
  }

  /** Records from now on. */
  public LoopTrace(Cpu cpu) {
    if (cpu.threads() != 1) {
      throw new IllegalArgumentException("pieces are timed one by one: one thread, got " + cpu);
    }
    this.cpu = cpu;
    cpu.wrapLoops(this::wrap);
  }

  private Parallel.Range wrap(int n, int grain, Parallel.Range body) {
    Loop loop = new Loop(System.nanoTime() - last, Math.ceilDiv(Math.max(n, 0), grain));
    loops.add(loop);
    last = System.nanoTime();
    return (from, to) -> {
      long begin = System.nanoTime();
      body.run(from, to);
      last = System.nanoTime();
      loop.pieceNanos[from / grain] = last - begin;
    };
  }

  /** Says what the loops since the last call belong to, and returns them. */
  public List<Loop> label(String label) {
    List<Loop> those = loops.subList(labelled, loops.size());
    those.forEach(loop -> loop.label = label);
    labelled = loops.size();
    return List.copyOf(those);
  }

  /** All loops so far. */
  public List<Loop> loops() {
    return List.copyOf(loops);
  }

  /** Ends the recording. */
  @Override
  public void close() {
    cpu.wrapLoops(null);
  }
}
