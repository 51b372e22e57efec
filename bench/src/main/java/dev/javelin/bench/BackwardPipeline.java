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
 * Attention's backward pass on {@code wgmma}, as {@code attention_backward_hopper.cuh} lays it out:
 * a block has 128 keys, queries come by, and each of two warpgroups computes scores and dP, sums of
 * dk and dv, and a part of dq, which another thread adds to a sum in the L2 cache. A block ends
 * after its keys. Turns at the sums are taken to have come: blocks of a head begin in an order in
 * which each comes to a tile after those before it.
 *
 * @param dim features of a head
 * @param stages of each of the two rings
 * @param loop its main loop, a tile a pass
 */
record BackwardPipeline(int dim, int stages, LoopCounts loop) {
  private static final int ELEMENT = 2; // bytes
  private static final int SUM = 4; // bytes, of dq
  private static final int ROWS = 128;
  private static final int COLUMNS = 64;
  private static final int CONSUMERS = 2;
  private static final int THREADS = 128; // of a warpgroup
  private static final int DQ_COLUMNS = 64; // of a warpgroup that multiplies for dq

  /** Compare and select, where a tile is masked. */
  private static final double MASK = 2;

  /** Of the exponentials, those before the wait for dP; {@code ShippedCodeTest} counts them. */
  private static final double EARLY = 0.75;

  /** The L2 cache reads what it adds to, and writes it. */
  private static final double ADDED = 2;

  /** {@code heads} of the keys, {@code group} heads of queries for each; causal. */
  Prediction predict(SmMachine sm, double flops, int heads, int group, int steps) {
    List<Integer> tiles = busiest(sm.multiprocessors(), heads, steps);
    return Prediction.of(sm, flops, 1, _ -> programs(sm, tiles, group, steps));
  }

  /** Tiles of each block of the multiprocessor with the most: the last keys of a head first. */
  private static List<Integer> busiest(int places, int heads, int steps) {
    List<List<Integer>> all = new ArrayList<>();
    int[] sums = new int[places];
    for (int p = 0; p < places; p++) {
      all.add(new ArrayList<>());
    }
    for (int head = 0; head < heads; head++) {
      for (int row = (Math.ceilDiv(steps, ROWS) - 1) * ROWS; row >= 0; row -= ROWS) {
        int least = 0;
        for (int p = 1; p < places; p++) {
          least = sums[p] < sums[least] ? p : least;
        }
        int tiles = Math.ceilDiv(steps - row, COLUMNS);
        sums[least] += tiles;
        all.get(least).add(tiles);
      }
    }
    int most = 0;
    for (int p = 1; p < places; p++) {
      most = sums[p] > sums[most] ? p : most;
    }
    return all.get(most);
  }

  /** What the agents wait for. */
  private static final class Shared {
    final Counter rows = new Counter();
    final Counter queriesFilled = new Counter();
    final Counter gradientsFilled = new Counter(); // dy
    final Counter added = new Counter(); // parts of dq
    final List<Counter> freed = List.of(new Counter(), new Counter());
    final List<Counter> together = List.of(new Counter(), new Counter()); // dS
    final List<Counter> parts = List.of(new Counter(), new Counter()); // of dq
    final List<Counter> ended = List.of(new Counter(), new Counter());
  }

  private List<List<Op>> programs(SmMachine sm, List<Integer> items, int group, int steps) {
    Shared s = new Shared();
    List<List<Op>> all = new ArrayList<>();
    all.add(producer(sm, s, items, group, steps));
    all.add(adder(sm, s, items, group));
    for (int c = 0; c < CONSUMERS; c++) {
      all.add(consumer(c, sm, s, items, group));
    }
    return all;
  }

  /** Queries and dy come from memory once for the blocks of keys of a head. */
  private List<Op> producer(SmMachine sm, Shared s, List<Integer> items, int group, int steps) {
    List<Op> program = new ArrayList<>();
    double bytes = (double) ELEMENT * COLUMNS * dim;
    double first = 1.0 / Math.ceilDiv(steps, ROWS);
    int loaded = 0;
    for (int i = 0; i < items.size(); i++) {
      AttentionPipeline.awaitAll(program, s.ended, i);
      program.add(Work.pause(SmMachine.BLOCK_START));
      program.add(AttentionPipeline.load(sm, 2.0 * ELEMENT * ROWS * dim, 1, s.rows));
      for (int t = 0; t < items.get(i) * group; t++) {
        loaded++;
        AttentionPipeline.awaitAll(program, s.freed, loaded - stages);
        program.add(AttentionPipeline.load(sm, bytes, first, s.queriesFilled));
        program.add(AttentionPipeline.load(sm, bytes, first, s.gradientsFilled));
      }
    }
    return program;
  }

  /** A part of dq, the latency of its copy, and that of the news to the next block. */
  private List<Op> adder(SmMachine sm, Shared s, List<Integer> items, int group) {
    List<Op> program = new ArrayList<>();
    int tiles = items.stream().mapToInt(i -> i * group).sum();
    for (int t = 1; t <= tiles; t++) {
      for (int c = 0; c < CONSUMERS; c++) {
        if (multiplies(c, t)) {
          program.add(new Await(s.parts.get(c), partsOf(t), SmMachine.BARRIER_TRIP));
        }
      }
      program.add(AttentionPipeline.load(sm, ADDED * SUM * COLUMNS * dim, 0, s.added));
      program.add(new Await(s.added, t, SmMachine.L2_LATENCY));
    }
    return program;
  }

  /** Whether a warpgroup has columns of dq in the n-th tile; they take turns if there are few. */
  private boolean multiplies(int warpgroup, int tile) {
    return dim == CONSUMERS * DQ_COLUMNS || tile % CONSUMERS == warpgroup;
  }

  /** How many tiles a warpgroup that has columns in this one has had them in. */
  private int partsOf(int tile) {
    return dim == CONSUMERS * DQ_COLUMNS ? tile : (tile + 1) / CONSUMERS;
  }

  private List<Op> consumer(int c, SmMachine sm, Shared s, List<Integer> items, int group) {
    List<Op> program = new ArrayList<>();
    Counter scores = new Counter();
    Counter gradients = new Counter(); // dP
    Counter sums = new Counter();
    Counter part = new Counter();
    Counter stored = new Counter();
    int tile = 0;
    double each = 64.0 * COLUMNS / THREADS;
    double special = each * SmMachine.MUFU_CLOCKS;
    double exponentials = 2 * each + loop.lds(); // scale and subtract, exponential
    double rest = loop.all() - loop.hgmma() - exponentials;
    double gradientBytes = (double) ELEMENT * 64 * COLUMNS;
    double partBytes = (double) SUM * COLUMNS * DQ_COLUMNS;
    for (int i = 0; i < items.size(); i++) {
      program.add(new Await(s.rows, i + 1, SmMachine.BARRIER_TRIP));
      for (int t = 0; t < items.get(i) * group; t++) {
        boolean masked = t % items.get(i) * COLUMNS < ROWS;
        tile++;
        program.add(new Await(s.queriesFilled, tile, 0));
        program.add(new Await(s.gradientsFilled, tile, SmMachine.BARRIER_TRIP));
        program.add(Work.pause(SmMachine.WGMMA_START));
        program.add(scoreProduct(scores));
        program.add(scoreProduct(gradients));
        program.add(new Await(scores, tile, 0));
        double early = EARLY * exponentials + (masked ? MASK * each : 0);
        program.add(special(early, EARLY * special));
        program.add(new Await(gradients, tile, 0));
        program.add(special((1 - EARLY) * exponentials, (1 - EARLY) * special));
        program.add(busy(rest, shared(gradientBytes)));
        program.add(Work.pause(SmMachine.WGMMA_START));
        program.add(sumProduct(sums));
        program.add(sumProduct(sums));
        program.add(new Signal(s.together.get(c)));
        program.add(new Await(s.together.get(1 - c), tile, SmMachine.BLOCK_BARRIER));
        boolean multiplies = multiplies(c, tile);
        if (multiplies) {
          program.add(partProduct(part));
        }
        program.add(new Await(sums, 2L * tile, 0));
        program.add(new Signal(s.freed.get(c)));
        if (multiplies) {
          program.add(new Await(s.added, tile - 1, SmMachine.BARRIER_TRIP));
          program.add(new Await(part, partsOf(tile), 0));
          program.add(busy(0, shared(partBytes)));
          program.add(new Signal(s.parts.get(c)));
        }
      }
      results(program, sm, stored);
      program.add(new Await(stored, i + 1, 0));
      program.add(new Await(s.added, tile, 0));
      program.add(new Signal(s.ended.get(c)));
    }
    return program;
  }

  private static Work special(double slots, double mufu) {
    return new Work(Math.max(slots, mufu), 0, slots, mufu, 0, 0);
  }

  private static Work busy(double slots, double shared) {
    return new Work(Math.max(slots, shared), 0, slots, 0, shared, 0);
  }

  /** A warpgroup's keys by a tile's queries, both from shared memory. */
  private Multiply scoreProduct(Counter done) {
    double clocks = SmMachine.tensorClocks(2.0 * 64 * COLUMNS * 16);
    return new Multiply(dim / 16, clocks, shared(ELEMENT * 16.0 * (64 + COLUMNS)), 0, done);
  }

  /** The first operand is in registers. */
  private Multiply sumProduct(Counter done) {
    double clocks = SmMachine.tensorClocks(2.0 * 64 * dim * 16);
    return new Multiply(COLUMNS / 16, clocks, shared(ELEMENT * 16.0 * dim), 0, done);
  }

  /** A tile's queries by columns of dq, over all keys of the block. */
  private static Multiply partProduct(Counter done) {
    double clocks = SmMachine.tensorClocks(2.0 * COLUMNS * DQ_COLUMNS * 16);
    double bytes = ELEMENT * 16.0 * (COLUMNS + DQ_COLUMNS);
    return new Multiply(ROWS / 16, clocks, shared(bytes), 0, done);
  }

  private static double shared(double bytes) {
    return bytes / SmMachine.SHARED_BYTES_PER_CLOCK;
  }

  /** Scaled, to shared memory, and from there by a bulk store. */
  private void results(List<Op> program, SmMachine sm, Counter stored) {
    double bytes = (double) ELEMENT * 64 * dim * 2;
    double sums = bytes / ELEMENT / THREADS;
    program.add(Work.pause(SmMachine.BLOCK_BARRIER));
    program.add(new Work(Math.max(2 * sums, shared(bytes)), 0, 2 * sums, 0, shared(bytes), 0));
    program.add(Work.pause(SmMachine.BLOCK_BARRIER));
    Load store = AttentionPipeline.load(sm, bytes, 1, stored);
    program.add(store);
  }
}
