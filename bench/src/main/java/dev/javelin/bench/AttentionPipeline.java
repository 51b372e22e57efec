package dev.javelin.bench;

import dev.javelin.bench.SmSimulation.Await;
import dev.javelin.bench.SmSimulation.Counter;
import dev.javelin.bench.SmSimulation.Load;
import dev.javelin.bench.SmSimulation.Multiply;
import dev.javelin.bench.SmSimulation.Op;
import dev.javelin.bench.SmSimulation.Signal;
import dev.javelin.bench.SmSimulation.Work;
import java.util.ArrayList;
import java.util.List;

/**
 * Attention forward on {@code wgmma}: a producer brings tiles of keys and values, each consumer has
 * 64 rows of queries.
 *
 * @param dim features of a head
 * @param keys of a tile
 * @param consumers warpgroups
 * @param overlap scores of the next tile are multiplied while this one's softmax runs
 * @param pingPong consumers take turns at the tensor cores, tile by tile
 * @param stays a block takes one block of queries after another, the longest of {@code headsAtOnce}
 *     heads first; otherwise it ends after one, and heads follow each other
 * @param headsAtOnce that blocks which stay take up before the next
 * @param places of queries: of two, one is free again when results have left it, under the first
 *     scores of the next queries; of one, when its last scores are there
 * @param instructions of a thread for one of its scores, besides products, that take operands from
 *     registers
 * @param uniform instructions of a warp for a tile that take none
 * @param scales every tile multiplies the sums; otherwise only one in which maxima rise a lot,
 *     which is left out here
 */
record AttentionPipeline(
    int dim,
    int keys,
    int consumers,
    boolean overlap,
    boolean pingPong,
    boolean stays,
    int headsAtOnce,
    int places,
    double instructions,
    double uniform,
    boolean scales) {
  private static final int ELEMENT = 2; // bytes
  private static final int STAGES = 2; // of keys, and of values
  private static final int THREADS = 128; // of a warpgroup

  /** Maximum, scale and subtract, exponential, sum; half a conversion. */
  static final double SOFTMAX = 4.5;

  /** Compare and select, where a tile is masked. */
  private static final double MASK = 2;

  /** A design: of all heads the longest first, softmax's instructions and no others. */
  AttentionPipeline(int dim, int keys, int consumers, boolean overlap) {
    this(
        dim,
        keys,
        consumers,
        overlap,
        true,
        true,
        Integer.MAX_VALUE,
        1,
        SOFTMAX,
        0,
        /* scales= */ true);
  }

  int rows() {
    return 64 * consumers;
  }

  /** Of `batch` · `heads` heads with `steps` queries and keys. */
  Prediction predict(SmMachine sm, int batch, int heads, int steps, boolean causal) {
    List<Integer> tiles =
        Items.busiest(
            sm.multiprocessors(),
            batch * heads,
            stays ? headsAtOnce : 1,
            steps,
            rows(),
            keys,
            causal);
    double flops = 4.0 * batch * heads * steps * steps * dim / (causal ? 2 : 1);
    return Prediction.of(sm, flops, 1, _ -> programs(sm, tiles, steps, causal));
  }

  private List<List<Op>> programs(SmMachine sm, List<Integer> items, int steps, boolean causal) {
    Shared s = new Shared();
    List<List<Op>> all = new ArrayList<>();
    all.add(producer(sm, s, items, steps));
    for (int c = 0; c < consumers; c++) {
      all.add(consumer(c, sm, s, items, causal));
    }
    return all;
  }

  /** What the agents wait for. */
  private final class Shared {
    final Counter queries = new Counter();
    final Counter keysFilled = new Counter();
    final Counter valuesFilled = new Counter();
    final Counter turns = new Counter();
    final List<Counter> queriesFreed = counters();
    final List<Counter> keysFreed = counters();
    final List<Counter> valuesFreed = counters();
    final List<Counter> ended = counters();

    private List<Counter> counters() {
      List<Counter> all = new ArrayList<>();
      for (int c = 0; c < consumers; c++) {
        all.add(new Counter());
      }
      return all;
    }
  }

  /** Keys and values come from memory once for the blocks of queries of a head. */
  private List<Op> producer(SmMachine sm, Shared s, List<Integer> items, int steps) {
    List<Op> program = new ArrayList<>();
    double tileBytes = (double) ELEMENT * keys * dim;
    double first = 1.0 / Math.ceilDiv(steps, rows());
    int keysLoaded = 0;
    int valuesLoaded = 0;
    for (int i = 0; i < items.size(); i++) {
      if (i == 0 || !stays) {
        long blocks = i;
        s.ended.forEach(e -> program.add(new Await(e, blocks, 0)));
        program.add(Work.pause(SmMachine.BLOCK_START));
      }
      awaitAll(program, s.queriesFreed, i - places + 1);
      program.add(load(sm, (double) ELEMENT * rows() * dim, 1, s.queries));
      for (int t = 0; t <= items.get(i); t++) {
        if (t < items.get(i)) {
          awaitAll(program, s.keysFreed, ++keysLoaded - STAGES);
          program.add(load(sm, tileBytes, first, s.keysFilled));
        }
        if (t > 0) {
          awaitAll(program, s.valuesFreed, ++valuesLoaded - STAGES);
          program.add(load(sm, tileBytes, first, s.valuesFilled));
        }
      }
    }
    return program;
  }

  static Load load(SmMachine sm, double bytes, double fromMemory, Counter done) {
    double l2 = bytes / sm.l2Share(sm.multiprocessors());
    double dram = fromMemory * bytes / sm.dramShare(sm.multiprocessors());
    return new Load(l2, SmMachine.TMA_LATENCY, dram, done);
  }

  static void awaitAll(List<Op> program, List<Counter> freed, long value) {
    freed.forEach(f -> program.add(new Await(f, value, SmMachine.BARRIER_TRIP)));
  }

  private List<Op> consumer(int c, SmMachine sm, Shared s, List<Integer> items, boolean causal) {
    List<Op> program = new ArrayList<>();
    Counter scores = new Counter();
    Counter sums = new Counter();
    Counter stored = new Counter();
    int tile = 0; // over all items
    int turn = 0;
    for (int i = 0; i < items.size(); i++) {
      program.add(new Await(s.queries, i + 1, SmMachine.BARRIER_TRIP));
      for (int t = 0; t < items.get(i); t++) {
        boolean next = t > 0;
        boolean masked = causal && t * keys < rows(); // the diagonal comes first
        if (pingPong) {
          program.add(new Await(s.turns, (long) turn++ * consumers + c, SmMachine.BLOCK_BARRIER));
        }
        tile++;
        program.add(new Await(s.keysFilled, tile, SmMachine.BARRIER_TRIP));
        program.add(Work.pause(SmMachine.WGMMA_START));
        program.add(scores(scores));
        if (overlap && next) {
          program.add(new Await(s.valuesFilled, tile - 1, 0));
          program.add(values(sums));
        }
        if (pingPong) {
          program.add(new Signal(s.turns));
        }
        if (places == 2 && i > 0 && !next) {
          program.add(new Await(stored, i, 0));
          program.add(new Signal(s.queriesFreed.get(c)));
        }
        program.add(new Await(scores, tile, 0));
        program.add(new Signal(s.keysFreed.get(c)));
        if (places == 1 && t == items.get(i) - 1) {
          program.add(new Signal(s.queriesFreed.get(c)));
        }
        softmax(program, masked);
        if (overlap) {
          if (next) {
            program.add(new Await(sums, tile - 1, 0));
            program.add(new Signal(s.valuesFreed.get(c)));
          }
          scale(program);
        } else {
          scale(program);
          lastValues(program, s, c, sums, tile);
        }
      }
      if (overlap) {
        lastValues(program, s, c, sums, tile);
      }
      results(program, sm, stored, i);
      if (!stays) {
        program.add(new Await(stored, i + 1, 0));
        program.add(new Signal(s.ended.get(c)));
      }
    }
    return program;
  }

  private void lastValues(List<Op> program, Shared s, int c, Counter sums, int tile) {
    program.add(new Await(s.valuesFilled, tile, SmMachine.BARRIER_TRIP));
    program.add(Work.pause(SmMachine.WGMMA_START));
    program.add(values(sums));
    program.add(new Await(sums, tile, 0));
    program.add(new Signal(s.valuesFreed.get(c)));
  }

  private static double shared(double bytes) {
    return bytes / SmMachine.SHARED_BYTES_PER_CLOCK;
  }

  private Multiply scores(Counter done) {
    double clocks = SmMachine.tensorClocks(2.0 * 64 * keys * 16);
    return new Multiply(dim / 16, clocks, shared(ELEMENT * 16.0 * (64 + keys)), uniform, done);
  }

  private Multiply values(Counter done) {
    double clocks = SmMachine.tensorClocks(2.0 * 64 * dim * 16);
    return new Multiply(keys / 16, clocks, shared(ELEMENT * 16.0 * dim), 0, done);
  }

  /** A pass for the maximum, its shuffles, a pass for the exponentials. */
  private void softmax(List<Op> program, boolean masked) {
    double each = 64.0 * keys / THREADS;
    double first = each * (1 + (masked ? MASK : 0));
    program.add(new Work(first * SmMachine.HALF_RATE, 0, first, 0, 0, 0));
    program.add(Work.pause(SmMachine.ROW_SHUFFLES));
    double special = each * SmMachine.MUFU_CLOCKS;
    program.add(new Work(special, 0, each * (instructions - 1), special, 0, 0));
  }

  private void scale(List<Op> program) {
    double slots = scales ? dim / 2.0 : 0;
    program.add(new Work(slots, 0, slots, 0, 0, 0));
  }

  /** Scaled, to shared memory, and from there by a bulk store. */
  private void results(List<Op> program, SmMachine sm, Counter stored, int before) {
    double bytes = (double) ELEMENT * 64 * dim;
    double sums = 64.0 * dim / THREADS;
    double shared = bytes / SmMachine.SHARED_BYTES_PER_CLOCK;
    program.add(new Await(stored, before, 0));
    program.add(new Work(Math.max(2 * sums, shared), 0, 2 * sums, 0, shared, 0));
    program.add(Work.pause(SmMachine.BLOCK_BARRIER));
    program.add(load(sm, bytes, 1, stored));
  }

  /** Blocks of queries and how they are given to multiprocessors. */
  static final class Items {
    private Items() {}

    /**
     * Tiles of each item of the multiprocessor with the most; each takes the next when it is free.
     *
     * @param atOnce heads of which the longest items come first, before those of the next heads
     */
    static List<Integer> busiest(
        int places, int heads, int atOnce, int steps, int rows, int keys, boolean causal) {
      int blocks = Math.ceilDiv(steps, rows);
      long section = (long) Math.min(atOnce, heads) * blocks;
      List<List<Integer>> all = new ArrayList<>();
      long[] sums = new long[places];
      for (int i = 0; i < sums.length; i++) {
        all.add(new ArrayList<>());
      }
      for (int i = 0; i < heads * blocks; i++) {
        long before = i / section * section; // items of the heads before
        long together = Math.min(section, (long) heads * blocks - before) / blocks;
        int block = blocks - 1 - (int) ((i - before) / together);
        int seen = causal ? Math.min(steps, (block + 1) * rows) : steps;
        int least = 0;
        for (int p = 1; p < sums.length; p++) {
          least = sums[p] < sums[least] ? p : least;
        }
        sums[least] += Math.ceilDiv(seen, keys);
        all.get(least).add(Math.ceilDiv(seen, keys));
      }
      int most = 0;
      for (int i = 1; i < sums.length; i++) {
        most = sums[i] > sums[most] ? i : most;
      }
      return all.get(most);
    }
  }
}
